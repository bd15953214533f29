//! Priorities of candidates.

use portolan_ice::candidate::priority;

/// The values that deployed endpoints send for the recommended preferences.
#[test]
fn rfc8445_5_1_2_1_the_priority_formula() {
    let cases = [
        ((126, 65535, 1), 2_130_706_431),
        ((126, 65535, 2), 2_130_706_430),
        ((100, 65535, 1), 1_694_498_815),
        ((110, 65535, 1), 1_862_270_975),
        ((0, 0, 256), 0),
        ((0, 65535, 1), 16_777_215),
    ];
    for ((kind, local, component), expected) in cases {
        assert_eq!(priority(kind, local, component), expected, "{kind} {local} {component}");
    }
}
