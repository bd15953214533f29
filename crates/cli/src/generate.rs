//! `portolan completions` and `portolan man`: shell completions and manual pages, generated from the definition of the
//! command line.

use crate::args::Cli;
use crate::error::{CommandError, Failure};
use crate::exit::{self, Exit};
use crate::output;
use clap::{Args, CommandFactory};
use clap_complete::Shell;
use clap_mangen::Man;
use std::io;
use std::path::PathBuf;

/// Arguments of `portolan completions`.
#[derive(Args, Debug)]
#[command(after_long_help = completions_help())]
pub(crate) struct CompletionsArgs {
    /// The shell
    #[arg(value_enum, value_name = "SHELL")]
    pub(crate) shell: Shell,
}

fn completions_help() -> String {
    format!(
        "\
{}

Examples:
  portolan completions bash > ~/.local/share/bash-completion/completions/portolan
  portolan completions fish > ~/.config/fish/completions/portolan.fish",
        exit::help("completions")
    )
}

/// Arguments of `portolan man`.
#[derive(Args, Debug)]
#[command(after_long_help = man_help())]
pub(crate) struct ManArgs {
    /// The command, such as `nat` or `sdp check`; without it the page of `portolan`
    #[arg(value_name = "COMMAND")]
    pub(crate) command: Vec<String>,
    /// Write the pages of all commands into this directory
    #[arg(long, value_name = "DIR", conflicts_with = "command")]
    pub(crate) dir: Option<PathBuf>,
}

fn man_help() -> String {
    format!(
        "\
{}

Examples:
  portolan man sdp check | man -l -
  portolan man --dir ~/.local/share/man/man1",
        exit::help("man")
    )
}

/// Why no page was written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ManError {
    #[error("there is no command {0:?}; the commands are in portolan --help")]
    NoCommand(Box<str>),
    #[error("{} cannot be written: {why}; name a directory that exists", .dir.display())]
    Directory { dir: PathBuf, why: io::Error },
    #[error("the page cannot be built: {0}")]
    Page(io::Error),
}

impl CommandError for ManError {}

/// Prints the completions of a shell.
pub(crate) fn completions(args: &CompletionsArgs) -> Result<Exit, Failure> {
    let (mut command, mut script) = (Cli::command(), Vec::new());
    let name = command.get_name().to_owned();
    clap_complete::generate(args.shell, &mut command, name, &mut script);
    output::write(&script)?;
    Ok(Exit::Success)
}

/// Prints the manual page of one command, or writes the pages of all.
pub(crate) fn man(args: &ManArgs) -> Result<Exit, Failure> {
    match &args.dir {
        Some(dir) => clap_mangen::generate_to(Cli::command(), dir)
            .map_err(|why| ManError::Directory { dir: dir.clone(), why })?,
        None => output::write(&page(&args.command)?)?,
    }
    Ok(Exit::Success)
}

/// Returns the manual page of the command with this path.
fn page(path: &[String]) -> Result<Vec<u8>, ManError> {
    let mut root = Cli::command().disable_help_subcommand(true);
    root.build();
    let mut command = &root;
    for name in path {
        command = command.find_subcommand(name).ok_or_else(|| ManError::NoCommand(path.join(" ").into_boxed_str()))?;
    }
    let mut page = Vec::new();
    Man::new(command.clone()).render(&mut page).map_err(ManError::Page)?;
    Ok(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page_of(path: &str) -> Result<String, String> {
        let path: Vec<String> = path.split_whitespace().map(str::to_owned).collect();
        page(&path).map(|page| String::from_utf8(page).unwrap()).map_err(|why| why.to_string())
    }

    #[test]
    fn each_command_has_a_manual_page_with_its_name_and_its_options() {
        fn check(command: &clap::Command, path: &str) {
            let page = page_of(path).unwrap();
            let name = format!("portolan {path}").trim_end().replace(' ', "-");
            assert!(page.contains(&format!(".SH NAME\n{}", name.replace('-', "\\-"))), "{name}: {page}");
            for option in command.get_arguments().filter_map(clap::Arg::get_long) {
                let shown = format!("\\-\\-{}", option.replace('-', "\\-"));
                assert!(page.contains(&shown), "{name}: {shown} is missing");
            }
            for child in command.get_subcommands() {
                check(child, format!("{path} {}", child.get_name()).trim_start());
            }
        }
        check(&Cli::command(), "");
        assert!(page_of("sdp chek").unwrap_err().contains("\"sdp chek\""));
    }
}
