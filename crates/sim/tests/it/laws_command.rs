//! Commands with a secret: law 9 holds for them, and no `Debug` text shows the secret.

use core::fmt::{self, Write};
use portolan_machine::{Cx, Input, Instant, Machine, Never, Outbox, Output, Script, ScriptError, Verdict};
use portolan_sim::laws::{self, Action, Context, Law, Step};

const PASSWORD: &str = "The\\Mat rIX";

/// The faults of the command.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    /// The text masks the password, so that a replay logs in with asterisks.
    StarsInText,
    /// The `Debug` text shows the password.
    PasswordInDebug,
    /// The password is not escaped.
    SeveralLines,
}

/// Logs in.
#[derive(PartialEq)]
struct Login {
    user: String,
    password: String,
    fault: Option<Fault>,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.fault {
            Some(Fault::PasswordInDebug) => write!(f, "Login({}, {})", self.user, self.password),
            _ => write!(f, "Login({})", self.user),
        }
    }
}

impl Script for Login {
    fn write(&self, out: &mut dyn Write) -> fmt::Result {
        let hidden = self.fault == Some(Fault::StarsInText);
        write!(out, "login {} {}", self.user, if hidden { "***" } else { &self.password })
    }

    fn read(text: &str) -> Result<Self, ScriptError> {
        let rest = text.strip_prefix("login ").and_then(|rest| rest.split_once(' '));
        let (user, password) = rest.ok_or(ScriptError::new("`login USER PASSWORD`"))?;
        Ok(Self { user: user.into(), password: password.into(), fault: None })
    }
}

fn login(fault: Option<Fault>) -> Login {
    let password = if fault == Some(Fault::SeveralLines) { "The\nMatrIX" } else { PASSWORD };
    Login { user: "bob".into(), password: password.into(), fault }
}

/// Reports the length of the received password.
#[derive(Default)]
struct Session(Outbox<usize>);

impl Machine for Session {
    type Command = Login;
    type Error = Never;
    type Event = usize;

    fn command(&mut self, _: &mut Cx<'_>, login: Login) -> Result<(), Never> {
        self.0.push(Output::Event(login.password.len()));
        Ok(())
    }

    fn handle(&mut self, _: &mut Cx<'_>, _: Input<'_>) -> Verdict {
        Verdict::NotMine
    }

    fn poll(&mut self) -> Output<usize> {
        self.0.pop().unwrap_or(Output::Wait(None))
    }
}

#[test]
fn a_recording_of_a_command_with_a_secret_replays() {
    let script = [Step::command(Instant::ORIGIN, &login(None))];
    laws::check_all(&Session::default, &script, &Context::default()).unwrap();
    let (recording, played) = laws::record(Session::default(), &script, &Context::default());
    assert_eq!(played[1].outputs, [Output::Event(PASSWORD.len())]);
    let text = recording.to_string();
    assert_eq!(text, "portolan recording 1\n0.000000000 command login bob The\\\\Mat rIX\n");
    let replayed = laws::replay(Session::default(), &text.parse().unwrap(), &Context::default()).unwrap();
    assert_eq!(replayed, played);
    let Action::Command(text) = &recording.steps[0].step.action else { panic!("a command") };
    assert_eq!(Login::read(text), Ok(login(None)));
}

#[test]
fn a_command_keeps_its_secret_in_its_text_alone() {
    let broken = |fault: Option<Fault>| match laws::a_command_survives_its_text(&login(fault), &[PASSWORD]) {
        Ok(()) => String::new(),
        Err(violation) => {
            assert_eq!(violation.law, Law::Determinism);
            assert!(!violation.to_string().contains("Mat"), "the sentence shows no secret: {violation}");
            violation.what
        }
    };
    assert_eq!(broken(None), "");
    assert_eq!(broken(Some(Fault::StarsInText)), "the command Login(bob) differs after a round trip through text");
    assert_eq!(broken(Some(Fault::PasswordInDebug)), "the Debug text of a command shows its secret number 0");
    assert_eq!(broken(Some(Fault::SeveralLines)), "the text of the command Login(bob) is more than one line");
}
