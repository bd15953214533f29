//! `portolan explain` of a build without the feature `explain`: one line, whatever the arguments.

use crate::error::{CommandError, Failure};
use crate::exit::Exit;
use clap::Args;
use std::ffi::OsString;

/// The arguments, which are not read.
#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub(crate) struct ExplainArgs {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    ignored: Vec<OsString>,
}

/// The command is not in this build.
#[derive(Debug, thiserror::Error)]
#[error("this portolan was built without `explain`; build it with the default features")]
struct WithoutExplain;

impl CommandError for WithoutExplain {}

pub(crate) async fn run(args: &ExplainArgs) -> Result<Exit, Failure> {
    let ExplainArgs { ignored: _ } = args;
    Err(WithoutExplain.into())
}
