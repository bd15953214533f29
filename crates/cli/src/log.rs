//! `-v` and `PORTOLAN_LOG`: the notes of the machines on standard error, each with the time (RFC 3339, UTC).

use std::env;
use tracing_subscriber::EnvFilter;

/// The variable that holds a filter of `tracing`.
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
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(filter))
        .with_writer(std::io::stderr)
        .with_target(false)
        // Otherwise the subscriber panics when standard error cannot be written.
        .log_internal_errors(false)
        .finish();
    // Only a second subscriber would be rejected, and this is the only one.
    let _ = tracing::subscriber::set_global_default(subscriber);
}
