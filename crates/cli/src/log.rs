//! `-v` and `PORTOLAN_LOG`: the notes of the machines, on standard error.

use std::env;
use tracing_subscriber::EnvFilter;

/// The variable that holds a filter of `tracing`.
const VARIABLE: &str = "PORTOLAN_LOG";

/// Installs the subscriber for `-v` (notes), `-vv` (everything) or `PORTOLAN_LOG`. The variable takes precedence.
pub(crate) fn start(verbose: u8) {
    let asked = env::var(VARIABLE).ok().filter(|filter| !filter.is_empty());
    let filter = match (asked, verbose) {
        (Some(filter), _) => filter,
        (None, 0) => return,
        (None, 1) => "portolan=debug".to_owned(),
        (None, _) => "trace".to_owned(),
    };
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(filter))
        .with_writer(std::io::stderr)
        .with_target(false)
        .without_time()
        .finish();
    // Only a second subscriber would be rejected, and this is the only one.
    let _ = tracing::subscriber::set_global_default(subscriber);
}
