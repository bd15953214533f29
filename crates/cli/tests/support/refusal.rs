//! Tests that the binary is not started for servers beyond this machine.

use std::ffi::OsStr;

use crate::binary::{NetworkNamespace, Refused, portolan, portolan_with_servers};

#[test]
fn a_server_beyond_this_machine_is_refused() {
    for server in ["203.0.113.10", "203.0.113.10:3478", "stun.example.org", "[2001:db8::1]:3478", "2001:db8::1"] {
        let refused = Refused { server: server.to_owned() };
        assert_eq!(portolan(&["nat", "--server", server]).map(drop), Err(refused.clone()), "{server}");
        assert_eq!(portolan(&["nat", &format!("--server={server}")]).map(drop), Err(refused), "{server}");
    }
}

#[test]
fn the_second_server_is_checked_too() {
    let mixed = ["nat", "--server", "127.0.0.1", "--server", "203.0.113.10"];
    assert_eq!(portolan(&mixed).map(drop), Err(Refused { server: "203.0.113.10".to_owned() }));
}

#[test]
fn a_positional_server_is_checked_too() {
    for server in ["203.0.113.10", "stuns:stun.example.org", "[2001:db8::1]:3478"] {
        let refused = Refused { server: server.to_owned() };
        assert_eq!(portolan(&["stun", "--timeout", "1", server]).map(drop), Err(refused.clone()), "{server}");
        assert_eq!(portolan(&["audit", "--format", "json", server]).map(drop), Err(refused.clone()), "{server}");
        assert_eq!(portolan(&["-v", "stun", server, "--tcp"]).map(drop), Err(refused), "{server}");
    }
}

#[test]
fn a_list_in_the_environment_is_checked_too() {
    let refused = Refused { server: "203.0.113.10:3478".to_owned() };
    assert_eq!(portolan_with_servers("127.0.0.1, 203.0.113.10:3478", &["nat"]).map(drop), Err(refused));
    let command = portolan_with_servers("127.0.0.1,[::1]:3478", &["nat"]).expect("loopback");
    let list = command.get_envs().find(|(name, _)| *name == "PORTOLAN_SERVERS").and_then(|(_, value)| value);
    assert_eq!(list, Some(OsStr::new("127.0.0.1,[::1]:3478")));
}

#[test]
fn a_loopback_server_is_accepted_without_public_servers() {
    for server in
        ["127.0.0.1", "127.9.9.9:3478", "[::1]:3478", "[::1]", "::1", "localhost", "LOCALHOST:3478", "stun:127.0.0.1"]
    {
        let command = portolan(&["nat", "--server", server]).expect(server);
        let set: Vec<_> = command.get_envs().filter(|(name, _)| *name == "PORTOLAN_SERVERS").collect();
        assert_eq!(set, [(OsStr::new("PORTOLAN_SERVERS"), Some(OsStr::new("")))]);
    }
}

#[test]
fn a_record_of_this_namespace_or_an_invalid_record_does_not_differ() {
    let here = NetworkNamespace::here().expect("Linux with /proc").to_string();
    assert!(!NetworkNamespace::differs_from(&here));
    assert!(!NetworkNamespace::differs_from(""));
    assert!(!NetworkNamespace::differs_from("elsewhere"));
    assert!(NetworkNamespace::differs_from("net:[1]"));
}
