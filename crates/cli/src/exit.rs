//! Exit codes: the result of a command for a script.
//!
//! [`TABLE`] is the one description of the exit codes. The help of each command shows its rows ([`help`]), and
//! docs/exit-codes.md has the whole table; a test compares the two.

use core::fmt::Write;
use std::process::ExitCode;

/// The result of a command, as its exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// The command succeeded.
    Success,
    /// The command ran, and the result is negative: a requirement is not met, or a fault was found.
    Negative,
    /// The command could not run.
    CouldNotRun,
    /// The command ran, but the result is unknown.
    Inconclusive,
}

impl Exit {
    /// Returns the exit status of the process.
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Negative => 1,
            Self::CouldNotRun => 2,
            Self::Inconclusive => 3,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// The meanings of the exit codes of one command.
struct Row {
    /// The subcommand, with the option for which the row holds; [`EVERY`] for all.
    command: &'static str,
    /// The meaning of each code from 0; `None` where the command never ends with the code.
    meanings: [Option<&'static str>; 4],
}

/// The first row: the meaning of the codes in every command.
const EVERY: &str = "every command";

const COULD_NOT_RUN: Option<&str> = Some("could not run");
const ENDED: Option<&str> = Some("ended by a signal");
const MEASURED: Option<&str> =
    Some("mapping and filtering are known in each family that has a route, or its UDP is blocked");
const UNREADABLE: Option<&str> = Some("the input could not be read");
const UNREADABLE_PAIR: Option<&str> = Some("one of the two inputs could not be read");
const NOT_SDP: Option<&str> = Some("the input is not a session description");

const TABLE: [Row; 24] = [
    Row {
        command: EVERY,
        meanings: [
            Some("the command succeeded"),
            Some("the command ran, and the result is negative: a requirement is not met, or a fault was found"),
            Some("the command could not run; one line on standard error gives the reason and the remedy"),
            Some("the command ran, but the result is unknown: a missing response is no evidence"),
        ],
    },
    Row {
        command: "demo",
        meanings: [
            Some("the peers are connected, directly or through the TURN server"),
            Some("the peers are not connected"),
            Some("could not run: bad arguments"),
            None,
        ],
    },
    Row {
        command: "nat",
        meanings: [
            MEASURED,
            Some("a --require is not met"),
            Some("could not run: bad arguments, no server, no network, no usable response"),
            Some("inconclusive, a --require is unknown, a signal ended --lifetime, or a --card is local"),
        ],
    },
    Row { command: "nat --watch", meanings: [ENDED, None, COULD_NOT_RUN, None] },
    Row {
        command: "lab nat",
        meanings: [
            MEASURED,
            None,
            Some("could not run: bad arguments, or the simulated host has no network"),
            Some("inconclusive"),
        ],
    },
    Row {
        command: "punch",
        meanings: [
            Some("the hosts were connected, and the data was exchanged; or --hold was ended"),
            Some("the peer came, and no path was found, or the path was lost"),
            Some("could not run: bad arguments, a full room, a false secret, no route, a silent rendezvous"),
            Some("the peer did not come"),
        ],
    },
    Row {
        command: "forecast",
        meanings: [
            Some("the hosts can connect, perhaps with guessed ports; or the matrix was written"),
            Some("the hosts need a relay"),
            Some("a card could not be read"),
            Some("the cards do not show it"),
        ],
    },
    Row {
        command: "stun",
        meanings: [
            Some("the response has a mapped address"),
            Some("the server refused the request or the password, or sent no mapped address"),
            Some("could not run, or no usable response arrived"),
            None,
        ],
    },
    Row {
        command: "audit",
        meanings: [
            Some("no clause is violated"),
            Some("at least one clause is violated"),
            COULD_NOT_RUN,
            Some("the server did not respond"),
        ],
    },
    Row {
        command: "audit --turn",
        meanings: [
            Some("no attack is successful"),
            Some("the server does not hold at least one attack"),
            Some("could not run: no --mine, no response, or no allocation for the user"),
            Some("no attack could be tested"),
        ],
    },
    Row {
        command: "ice",
        meanings: [
            Some("the input ended, or a stop message came; without --format json a path to the peer existed"),
            Some("the input ended without a path to the peer (not with --format json)"),
            COULD_NOT_RUN,
            None,
        ],
    },
    Row {
        command: "turn",
        meanings: [
            Some("the server relays datagrams to the peer and back"),
            Some("the server refused the user, the allocation, the peer or the refresh"),
            Some("could not run, or no usable response arrived"),
            Some("the server allocates, but no datagram came back, or the server became silent"),
        ],
    },
    Row {
        command: "explain",
        meanings: [
            Some("no message has an error"),
            Some("at least one message has an error"),
            Some("the input has no message that can be read, or neither STUN nor ChannelData was recognized"),
            None,
        ],
    },
    Row { command: "serve", meanings: [ENDED, None, COULD_NOT_RUN, None] },
    Row {
        command: "sdp explain",
        meanings: [
            Some("every line can be parsed"),
            Some("at least one line cannot be parsed (see the carets)"),
            NOT_SDP,
            None,
        ],
    },
    Row { command: "sdp check", meanings: [Some("no deviation"), Some("at least one deviation"), NOT_SDP, None] },
    Row {
        command: "sdp check --strict",
        meanings: [Some("no deviation and no warning"), Some("at least one deviation or warning"), NOT_SDP, None],
    },
    Row {
        command: "sdp diff",
        meanings: [Some("no difference"), Some("at least one difference"), UNREADABLE_PAIR, None],
    },
    Row {
        command: "sdp answer",
        meanings: [
            Some("an answer was written"),
            Some("the answer rejects every media section"),
            Some("there is no answer"),
            None,
        ],
    },
    Row {
        command: "sdp validate",
        meanings: [
            Some("the answer conforms to the offer"),
            Some("the answer does not conform"),
            UNREADABLE_PAIR,
            None,
        ],
    },
    Row { command: "sdp json", meanings: [Some("the input was converted"), None, UNREADABLE, None] },
    Row { command: "sdp scrub", meanings: [Some("the description was scrubbed"), None, UNREADABLE, None] },
    Row { command: "completions", meanings: [Some("the completions were written"), None, COULD_NOT_RUN, None] },
    Row {
        command: "man",
        meanings: [
            Some("the manual pages were written"),
            None,
            Some("could not run, or there is no such command"),
            None,
        ],
    },
];

/// Returns the exit codes of a command for its help: a list, and one more for each option that changes the codes.
pub(crate) fn help(command: &str) -> String {
    let mut text = String::new();
    for row in &TABLE {
        let option = match row.command.strip_prefix(command) {
            Some("") => "",
            Some(option) if option.starts_with(" --") => option,
            _ => continue,
        };
        let (before, with) = if option.is_empty() { ("", "") } else { ("\n", " with") };
        // Writing to a string cannot fail.
        let _ = write!(text, "{before}Exit codes{with}{option}:");
        for (code, meaning) in row.meanings.iter().enumerate() {
            if let Some(meaning) = meaning {
                let _ = write!(text, "\n  {code}  {meaning}");
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    /// Renders the table as Markdown.
    fn markdown() -> String {
        let mut text = String::from("| command | 0 | 1 | 2 | 3 |\n|---|---|---|---|---|\n");
        for row in &TABLE {
            let command = if row.command == EVERY { EVERY.to_owned() } else { format!("`{}`", row.command) };
            let meanings = row.meanings.map(|meaning| meaning.unwrap_or("–")).join(" | ");
            text.push_str(&format!("| {command} | {meanings} |\n"));
        }
        text
    }

    #[test]
    fn the_document_has_the_table() {
        let document = include_str!("../../../docs/exit-codes.md");
        let table: String =
            document.lines().filter(|line| line.starts_with('|')).map(|line| format!("{line}\n")).collect();
        assert_eq!(table, markdown(), "replace the table in docs/exit-codes.md by:\n{}", markdown());
    }

    /// Appends each command that can run, with its path: `lab nat`.
    fn runnable<'a>(command: &'a clap::Command, path: &str, all: &mut Vec<(String, &'a clap::Command)>) {
        if !command.is_subcommand_required_set() {
            all.push((path.to_owned(), command));
        }
        for child in command.get_subcommands() {
            runnable(child, format!("{path} {}", child.get_name()).trim_start(), all);
        }
    }

    #[test]
    fn each_command_has_a_row_and_shows_it_and_each_row_has_a_command() {
        let root = crate::args::Cli::command();
        let mut commands = Vec::new();
        runnable(&root, "", &mut commands);
        assert!(commands.iter().any(|(name, _)| name == "sdp validate"), "{commands:?}");
        for (name, command) in &commands {
            assert!(TABLE.iter().any(|row| row.command == name), "{name} has no row in the table of exit codes");
            let shown = command.get_after_long_help().map(ToString::to_string).unwrap_or_default();
            assert!(shown.contains(&help(name)), "the help of {name} does not show its exit codes");
        }
        for row in TABLE.iter().filter(|row| row.command != EVERY) {
            let (name, option) = row.command.split_once(" --").unwrap_or((row.command, ""));
            let command = commands.iter().find(|(known, _)| known == name);
            let (_, command) = command.unwrap_or_else(|| panic!("{name} is no command"));
            let known = option.is_empty() || command.get_arguments().any(|arg| arg.get_long() == Some(option));
            assert!(known, "{name} has no option --{option}");
        }
    }

    #[test]
    fn a_line_of_the_help_fits_into_100_columns() {
        for row in &TABLE {
            let help = help(row.command);
            assert!(help.lines().all(|line| line.chars().count() <= 100), "{help}");
        }
    }
}
