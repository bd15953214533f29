use super::*;
use crate::lab::simulate;
use crate::lab::tests::args;
use crate::wrap::to_width;

fn screen(line: &str, width: usize) -> String {
    let args = args(line);
    let (data, _) = simulate(&args).unwrap();
    let detail = if args.output.explain.is_some() { StepDetail::All } else { StepDetail::Main };
    let text = to_width(&page(&data, &args, detail, width), width);
    anstream::adapter::strip_str(&text).to_string()
}

#[test]
fn the_first_screen_is_pinned_at_three_widths() {
    assert_eq!(screen("", 100), include_str!("100.txt"));
    assert_eq!(screen("", 80), include_str!("80.txt"));
    assert_eq!(screen("", 40), include_str!("40.txt"));
    assert_eq!(screen("--explain", 100), include_str!("explained.txt"));
}

#[test]
fn each_network_fits_on_a_screen_of_30_lines_and_100_columns() {
    let presets = Preset::ALL.iter().map(|preset| format!("--preset {preset}"));
    let kinds = ["eim", "adm", "apdm"].iter().flat_map(|mapping| {
        ["eif", "adf", "apdf"].map(|filtering| format!("--mapping {mapping} --filtering {filtering}"))
    });
    for line in presets.chain(kinds).chain(["-6".to_owned(), "--preset open -6".to_owned()]) {
        let text = screen(&line, 100);
        assert!(text.lines().count() <= 30, "{line}: {} lines\n{text}", text.lines().count());
        assert!(text.lines().all(|line| line.chars().count() <= 100), "{line}:\n{text}");
        assert!(text.contains("\nVerdict     ") && text.contains("\nMeaning     "), "{text}");
        assert_eq!(text.lines().rev().take(3).filter(|line| line.contains("portolan ")).count(), 3, "{text}");
    }
}

#[test]
fn an_abbreviation_is_explained_where_it_first_occurs() {
    for mapping in ["eim", "adm", "apdm"] {
        for filtering in ["eif", "adf", "apdf"] {
            let text = screen(&format!("--mapping {mapping} --filtering {filtering}"), 1_000);
            for (short, long) in [
                ("EIM", "Endpoint-independent mapping"),
                ("ADM", "Address-dependent mapping"),
                ("APDM", "Address-and-port-dependent mapping"),
                ("EIF", "Endpoint-independent filtering"),
                ("ADF", "Address-dependent filtering"),
                ("APDF", "Address-and-port-dependent filtering"),
            ] {
                let words = |word: &str| word == short || word == format!("({short}):");
                if let Some(first) = text.split_whitespace().find(|word| words(word)) {
                    assert_eq!(first, format!("({short}):"), "{text}");
                    assert!(text.contains(&format!("{long} ({short}):")), "{text}");
                }
            }
        }
    }
}

#[test]
fn one_family_is_measured_unless_the_user_asks_for_both() {
    let families = |line: &str| {
        let (data, _) = simulate(&args(line)).unwrap();
        data.report.families.iter().map(|family| family.family).collect::<Vec<_>>()
    };
    assert_eq!(families(""), [Family::V4]);
    assert_eq!(families("-4"), [Family::V4]);
    assert_eq!(families("-6"), [Family::V6]);
    assert_eq!(families("-4 -6"), [Family::V4, Family::V6]);
    let both = screen("-4 -6", 100);
    assert!(both.contains("\nVerdict     IPv4: ") && both.contains("\nVerdict     IPv6: "), "{both}");
    assert!(simulate(&args("--preset cgnat -6")).unwrap_err().to_string().contains("no IPv6"));
}
