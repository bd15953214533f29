//! The options of the command.

use crate::load::{Pattern, Traffic};
use crate::server::Kind;
use crate::system_calls::Tool;
use core::time::Duration;

/// The settings of a comparison.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// `--rounds`: the number of rounds. It should be odd, so that a round is the median.
    pub(crate) rounds: usize,
    /// `--flows`: the allocations that have traffic.
    pub(crate) flows: usize,
    /// `--milliseconds`: the time of one run of one server.
    pub(crate) time: Duration,
    /// `--allocations`: the allocations whose memory and processor time are measured.
    pub(crate) allocations: usize,
    /// `--servers`: the compared servers, separated by commas.
    pub(crate) kinds: Vec<Kind>,
    /// `--patterns`: the kinds of traffic, separated by commas.
    pub(crate) traffic: Vec<Traffic>,
    /// `--one-core`: the load runs on the core of the servers, and no process interrupts another.
    pub(crate) one_core: bool,
    /// The tool that counts system calls; `None` after `--without-tools`, or if there is none.
    pub(crate) tool: Option<Tool>,
}

impl Settings {
    pub(crate) const USAGE: &'static str = "usage: relay [--rounds N] [--flows N] [--milliseconds N] [--allocations N] \
         [--servers coturn,portolan,driver,bare] [--patterns single,bursts,whole,offload] [--one-core] \
         [--without-tools]";

    pub(crate) fn parse(arguments: &[&str]) -> Result<Self, String> {
        let mut settings = Self {
            rounds: 5,
            flows: 64,
            time: Duration::from_millis(300),
            allocations: 8_000,
            kinds: Kind::ALL.to_vec(),
            one_core: false,
            tool: None,
            traffic: Pattern::ALL.into_iter().flat_map(Traffic::of).collect(),
        };
        let is_flag = |name: &&&str| matches!(**name, "--one-core" | "--without-tools");
        let (flags, pairs): (Vec<&str>, Vec<&str>) = arguments.iter().partition(is_flag);
        settings.one_core = flags.contains(&"--one-core");
        settings.tool = if flags.contains(&"--without-tools") { None } else { Tool::find() };
        for pair in pairs.chunks(2) {
            let [name, value] = pair else { return Err(format!("{} needs a value", pair.concat())) };
            let number = || match value.parse() {
                Ok(number) if number > 0 => Ok(number),
                _ => Err(format!("{name} needs a number above 0, found {value:?}")),
            };
            match *name {
                "--rounds" => settings.rounds = number()?,
                "--flows" => settings.flows = number()?,
                "--milliseconds" => settings.time = Duration::from_millis(number()? as u64),
                "--allocations" => settings.allocations = number()?,
                "--servers" => settings.kinds = value.split(',').map(kind).collect::<Result<_, _>>()?,
                "--patterns" => {
                    let patterns = value.split(',').map(pattern).collect::<Result<Vec<_>, _>>()?;
                    settings.traffic = patterns.into_iter().flat_map(Traffic::of).collect();
                }
                unknown => return Err(format!("unknown option {unknown}")),
            }
        }
        Ok(settings)
    }
}

fn kind(name: &str) -> Result<Kind, String> {
    Kind::ALL.into_iter().find(|kind| kind.name() == name).ok_or_else(|| format!("unknown server {name:?}"))
}

fn pattern(name: &str) -> Result<Pattern, String> {
    Pattern::ALL.into_iter().find(|pattern| pattern.name() == name).ok_or_else(|| format!("unknown pattern {name:?}"))
}
