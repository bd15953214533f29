//! `-v` and `PORTOLAN_LOG`: the notes of the machines on standard error, each with the time (RFC 3339, UTC).

use crate::output::print_diagnostic;
use std::env;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;

/// The variable that holds targets and levels, such as `portolan=debug,info`.
const VARIABLE: &str = "PORTOLAN_LOG";

/// Installs the subscriber for `-v` (all notes but those of each transaction), `-vv` (all notes), `-vvv` (the log of the
/// libraries too) or `PORTOLAN_LOG`. The variable takes precedence.
pub(crate) fn start(verbose: u8) {
    let asked = env::var(VARIABLE).ok().filter(|filter| !filter.is_empty());
    let filter = match (asked, verbose) {
        (Some(filter), _) => filter,
        (None, 0) => return,
        (None, 1) => "portolan=debug".to_owned(),
        (None, 2) => "portolan=trace".to_owned(),
        (None, _) => "trace".to_owned(),
    };
    let targets = match filter.parse::<Targets>() {
        Ok(targets) => targets,
        Err(why) => {
            // Logging is an aid: the command runs without it.
            print_diagnostic(format_args!(
                "{VARIABLE}={filter:?} is ignored: {why}; write targets and levels, such as portolan=debug"
            ));
            return;
        }
    };
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_target(false)
        // Otherwise the subscriber panics when standard error cannot be written.
        .log_internal_errors(false)
        .with_filter(targets);
    // Only a second subscriber would be rejected, and this is the only one.
    let _ = tracing::subscriber::set_global_default(tracing_subscriber::registry().with(lines));
}
