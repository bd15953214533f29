use super::*;
use crate::report::{Comparison, Simulation, sample};
use core::time::Duration;
use portolan_nat::behavior::{Mapping, NatKind};
use portolan_nat::profile::{Evidence, Family as Measured, Report, Unknown};
use serde_json::Value;

fn report_data(report: Report) -> ReportData {
    ReportData {
        report,
        servers: vec!["stun.example.org:3478".into(), "198.51.100.20:3478".into()],
        simulation: None,
        lifetime: None,
        story: vec![],
    }
}

fn parsed(text: &str) -> Value {
    assert!(!text.contains('\n'), "one line");
    serde_json::from_str(text).unwrap()
}

#[test]
fn a_report_is_the_one_that_the_documentation_shows() {
    let text = report(&report_data(sample::home()));
    assert_eq!(parsed(&text), serde_json::from_str::<Value>(include_str!("home.json")).unwrap());
    // The order of the fields is for people: the most important fields come first.
    let beginning = "{\"schema\":\"portolan.nat/1\",\"families\":[{\"family\":\"ipv4\",\"vantage\":\"public\",\
                     \"nat\":\"nat\",\"public\":[\"203.0.113.9:40000\"],\"local\":\"192.168.1.7:40000\",\"mapping\":{\"value\":\
                     \"endpoint-independent\",\"unknown\":null,\"p_wrong\":0.0,\"evidence\":[";
    assert!(text.starts_with(beginning), "{text}");
}

#[test]
fn the_documentation_shows_the_report_of_the_test() {
    let documentation = include_str!("../../../../../docs/json.md");
    assert!(documentation.contains(include_str!("home.json").trim_end()), "docs/json.md shows another report");
}

#[test]
fn every_field_is_documented() {
    fn names(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(fields) => {
                for (name, value) in fields {
                    found.push(name.clone());
                    names(value, found);
                }
            }
            Value::Array(values) => values.iter().for_each(|value| names(value, found)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    let mut data = report_data(sample::home());
    data.story = vec!["0.000s it begins".to_owned()];
    data.lifetime = Some(sample::lifetime());
    let mut found = vec![];
    names(&parsed(&last(&data)), &mut found);
    let documentation = include_str!("../../../../../docs/json.md");
    for name in found {
        assert!(documentation.contains(&format!("`{name}`")), "docs/json.md has no word about `{name}`");
    }
}

#[test]
fn an_unreachable_network_is_unavailable_and_blocked_is_a_type() {
    let offline = parsed(&report(&report_data(sample::offline())));
    let [v4, v6] = [0, 1].map(|place| offline["families"][place].clone());
    assert_eq!((&v4["nat"], &v4["type"]), (&Value::from("unavailable"), &Value::from("unknown")));
    assert_eq!(v4["unavailable"], "every datagram was returned: no route to the network");
    assert_eq!((&v6["family"], &v6["mapping"]["unknown"]), (&Value::from("ipv6"), &Value::from("offline")));
    assert_eq!(v6["local"], Value::Null);
    let blocked = parsed(&report(&report_data(sample::blocked())));
    let family = &blocked["families"][0];
    assert_eq!((&family["nat"], &family["type"]), (&Value::from("unknown"), &Value::from("blocked")));
    assert_eq!(family["mapping"]["evidence"][0], "TCP to 198.51.100.10:443 connects");
}

#[test]
fn each_event_is_a_line_and_the_report_is_the_last() {
    let family = Measured::V4;
    let (endpoint, local) = ("203.0.113.9:40000".parse().unwrap(), "192.168.1.7:40000".parse().unwrap());
    let seen = vec![Evidence::Seen { to: endpoint, mapped: local }];
    for (happened, line) in [
        (
            DiscoveryEvent::Public { family, endpoint, local },
            r#"{"event":"public","family":"ipv4","endpoint":"203.0.113.9:40000","local":"192.168.1.7:40000"}"#,
        ),
        (DiscoveryEvent::Nat { family, nat: NatKind::Firewall }, r#"{"event":"nat","family":"ipv4","nat":"firewall"}"#),
        (
            DiscoveryEvent::Mapping {
                family,
                conclusion: Conclusion::value_with(Mapping::AddressDependent, 0.012_345, seen),
            },
            r#"{"event":"mapping","family":"ipv4","value":"address-dependent","unknown":null,"p_wrong":0.012,"evidence":["203.0.113.9:40000 saw 192.168.1.7:40000"]}"#,
        ),
        (
            DiscoveryEvent::Filtering {
                family: Measured::V6,
                conclusion: Conclusion::unknown(Unknown::HighLoss, vec![]),
            },
            r#"{"event":"filtering","family":"ipv6","value":null,"unknown":"high-loss","p_wrong":null,"evidence":[]}"#,
        ),
        (
            DiscoveryEvent::Flaw { family, server: endpoint, flaw: Flaw::ChangeRequestRefused(420) },
            r#"{"event":"flaw","family":"ipv4","server":"203.0.113.9:40000","flaw":"change-request-refused-420"}"#,
        ),
    ] {
        assert_eq!(event(&happened).as_deref(), Some(line));
    }
    assert_eq!(event(&DiscoveryEvent::Report(Box::new(sample::home()))), None);
    assert_eq!(
        change("ipv4", "public", "203.0.113.9", "203.0.113.77"),
        r#"{"event":"change","family":"ipv4","what":"public","was":"203.0.113.9","is":"203.0.113.77"}"#
    );
    let (alone, mut at_the_end) = (report(&report_data(sample::home())), parsed(&last(&report_data(sample::home()))));
    let event = at_the_end.as_object_mut().unwrap().remove("event");
    assert_eq!(event, Some(Value::from("report")));
    assert_eq!(at_the_end, parsed(&alone));
}

#[test]
fn a_simulated_report_is_marked_and_has_its_story() {
    let mut data = report_data(sample::home());
    assert_eq!(parsed(&report(&data)).get("story"), None);
    data.simulation = Some(Simulation { description: String::new(), comparison: Comparison::Right });
    data.story = vec!["0.000s it begins".to_owned()];
    let value = parsed(&report(&data));
    assert_eq!(value["simulated"], true);
    assert_eq!(value["story"][0], "0.000s it begins");
}

#[test]
fn lifetimes_are_in_the_report_if_requested() {
    let mut data = report_data(sample::home());
    assert_eq!(parsed(&report(&data)).get("lifetime"), None);
    data.lifetime = Some(sample::lifetime());
    let lifetime = &parsed(&report(&data))["lifetime"];
    assert_eq!(lifetime["replied"]["value"], serde_json::json!({"at_least_s": 115.0, "at_most_s": 121.0}));
    assert_eq!(lifetime["absolute"]["value"], serde_json::json!({"at_least_s": 185.0, "at_most_s": null}));
    assert_eq!((&lifetime["keepalive_s"], &lifetime["elapsed_ms"]), (&Value::from(57.0), &Value::from(195_000)));
    assert_eq!(lifetime["refresh_inbound"]["unknown"], "high-loss");
    let point = lifetime::event(&portolan_nat::lifetime::LifetimeEvent::Point {
        series: portolan_nat::lifetime::Series::Unreplied,
        idle: Duration::from_millis(30_250),
        alive: false,
    });
    let line = r#"{"event":"lifetime-point","series":"unreplied","idle_s":30.25,"alive":false}"#;
    assert_eq!(point.as_deref(), Some(line));
}

#[test]
fn the_reports_of_the_library_have_the_fields_and_values_of_the_command() {
    for sample in [sample::home(), sample::blocked(), sample::offline()] {
        let library = serde_json::to_value(&sample).unwrap();
        let command = parsed(&report(&report_data(sample)));
        assert_eq!(library["elapsed_ms"], command["elapsed_ms"]);
        let (library, command) = (library["families"].as_array().unwrap(), command["families"].as_array().unwrap());
        assert_eq!(library.len(), command.len());
        for (library, command) in library.iter().zip(command) {
            // The library knows the place of a server in the list of the caller; the command knows its name.
            let (mut library, mut command) = (library.clone(), command.clone());
            for (place, server) in library["servers"].as_array_mut().unwrap().iter_mut().enumerate() {
                assert_eq!(server.as_object_mut().unwrap().remove("server"), Some(Value::from(place)));
            }
            for server in command["servers"].as_array_mut().unwrap() {
                assert!(server.as_object_mut().unwrap().remove("name").is_some());
            }
            // The command adds the vantage of the servers.
            assert!(command.as_object_mut().unwrap().remove("vantage").is_some());
            assert_eq!(library, command);
        }
    }
}
