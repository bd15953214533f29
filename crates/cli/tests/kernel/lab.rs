//! The lab: a process with its own mounts, networks and process ids, so that the kernel removes them at the end.
//!
//! The test program that cargo starts is only the supervisor. Before it has any thread, it starts itself again under
//! `unshare`, as the first process of a new PID namespace. When that process ends, the kernel ends every process in the
//! namespace, and the networks disappear with the last process. `setpriv --pdeathsig` passes the end of the supervisor
//! (Ctrl-C, SIGTERM, SIGKILL) to `unshare`, which would otherwise keep waiting.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use crate::binary::{NetworkNamespace, OUTSIDE};
use crate::kinds::named;
use crate::rules::Site;

/// The state of the lab.
pub(crate) enum LabState {
    /// This process is the lab.
    Entered,
    /// The trials have run in another process, which ended with this exit code.
    Finished(ExitCode),
    /// The machine cannot make the lab, for this reason.
    Unavailable(String),
}

/// Enters the lab, or detects that this process is the lab. Must run before any thread starts.
pub(crate) fn enter() -> LabState {
    let found = if NetworkNamespace::is_own() {
        set_up().map(|()| LabState::Entered)
    } else {
        run_in_lab().map(LabState::Finished)
    };
    found.unwrap_or_else(LabState::Unavailable)
}

/// Starts this program again in the lab, and waits for it.
fn run_in_lab() -> Result<ExitCode, String> {
    for tool in ["unshare", "setpriv", "mount", "ip", "nft"] {
        if find(tool).is_none() {
            return Err(format!("`{tool}` is not installed (packages util-linux, iproute2, nftables)"));
        }
    }
    let outside = NetworkNamespace::here().map_err(|why| format!("/proc has no network namespace: {why}"))?;
    let arguments = unshare_arguments()?;
    let program = env::current_exe().map_err(|why| format!("the path of this program is unknown: {why}"))?;
    let status = tool("setpriv")
        .args(["--pdeathsig", "KILL", "unshare"])
        .args(arguments)
        .arg(program)
        .args(env::args_os().skip(1))
        .env(OUTSIDE, outside.to_string())
        .status()
        .map_err(|why| format!("`setpriv` does not start: {why}"))?;
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from))
}

/// Returns the arguments of `unshare` that work here: as root without a user namespace (faster), otherwise with one.
fn unshare_arguments() -> Result<&'static [&'static str], String> {
    const VARIANTS: [&[&str]; 2] = [&["-nmp", "--fork", "--kill-child"], &["-Urnmp", "--fork", "--kill-child"]];
    let mut refusal = String::new();
    for arguments in VARIANTS {
        let tried = tool("unshare")
            .args(arguments)
            .args(["mount", "-t", "tmpfs", "tmpfs", "/run"])
            .stdin(Stdio::null())
            .output()
            .map_err(|why| format!("`unshare` does not start: {why}"))?;
        if tried.status.success() {
            return Ok(arguments);
        }
        refusal = first_line(&tried.stderr);
    }
    Err(format!("namespaces cannot be created here ({refusal}); allow unprivileged user namespaces or run as root"))
}

/// Mounts a private `/run`, where `ip netns` stores its names, and checks that the kernel accepts the filter rules.
fn set_up() -> Result<(), String> {
    run(tool("mount").args(["-t", "tmpfs", "tmpfs", "/run"]), "")?;
    fs::create_dir_all("/run/netns").map_err(|why| format!("/run/netns cannot be created: {why}"))?;
    run(tool("ip").args(["link", "set", "lo", "up"]), "")?;
    own_resolver()?;
    let site = Site { external: "198.51.100.1", second: "198.51.100.2", inside: "192.168.1.2", v6: false };
    for kind in ["ad_ad", "apd_seq", "ei_apd_hp", "pool", "loss10"] {
        let Some(router) = named(kind).and_then(|kind| kind.outermost()) else {
            return Err(format!("no kind is named {kind}"));
        };
        run(tool("nft").args(["--check", "--file", "-"]), &router.rules(&site))
            .map_err(|why| format!("this kernel or `nft` cannot make the NAT {kind}: {why}"))?;
    }
    Ok(())
}

/// Configures name lookups to port 53 of the host itself, where only a trial can listen.
fn own_resolver() -> Result<(), String> {
    const CONFIGURATION: &str = "/etc/resolv.conf";
    const OWN: &str = "/run/own-resolv.conf";
    let failed = |why: std::io::Error| format!("{CONFIGURATION} cannot be replaced: {why}");
    fs::write(OWN, "nameserver 127.0.0.1\n").map_err(failed)?;
    // The file is often a link into `/run`, which is empty in the lab.
    if let Ok(target) = fs::read_link(CONFIGURATION) {
        let target = Path::new("/etc").join(target);
        if !target.exists() {
            target.parent().map_or(Ok(()), fs::create_dir_all).map_err(failed)?;
            return fs::copy(OWN, target).map(drop).map_err(failed);
        }
    }
    run(tool("mount").args(["--bind", OWN, CONFIGURATION]), "")
}

/// Runs a tool with this text as its input.
pub(crate) fn run(command: &mut Command, input: &str) -> Result<(), String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let failed = |why: std::io::Error| format!("{name}: {why}");
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().map_err(failed)?;
    if let Some(mut stdin) = child.stdin.take() {
        // If the tool stops reading, its standard error has the reason.
        let _ = std::io::Write::write_all(&mut stdin, input.as_bytes());
    }
    let output = child.wait_with_output().map_err(failed)?;
    if output.status.success() { Ok(()) } else { Err(format!("{name}: {}", first_line(&output.stderr))) }
}

/// Returns a command for the tool, with the search path of administrators.
pub(crate) fn tool(name: &str) -> Command {
    let mut command = Command::new(find(name).unwrap_or_else(|| PathBuf::from(name)));
    if let Ok(path) = env::join_paths(folders()) {
        command.env("PATH", path);
    }
    command
}

/// Returns the path of a tool, if it is installed.
fn find(name: &str) -> Option<PathBuf> {
    folders().map(|folder| folder.join(name)).find(|path| Path::is_file(path))
}

/// Returns the search path. For an ordinary user it often lacks the folders of the network tools.
fn folders() -> impl Iterator<Item = PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let named: Vec<PathBuf> = env::split_paths(&path).collect();
    named.into_iter().chain(["/usr/sbin", "/sbin", "/usr/bin", "/bin"].map(PathBuf::from))
}

fn first_line(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    text.lines().next().unwrap_or("no reason given").to_owned()
}
