//! The pipe of `portolan punch`: a file through two NATs, with its throughput beside that of `iperf3`.
//!
//! The file is compared as a whole. `iperf3` uses the same namespaces and routers, over a port that the router of the second
//! host forwards: once over TCP, and once over UDP with datagrams of 1,200 bytes. Without `iperf3` the comparison is left
//! out with one line. The figures of a debug build say little.

use core::time::Duration;
use std::fs::{self, File};
use std::process::{Child, Stdio};
use std::time::Instant;

use serde_json::Value;

use crate::Outcome;
use crate::binary::portolan;
use crate::kinds::named;
use crate::lab::tool;
use crate::namespace::{Namespace, next_number};
use crate::process::Process;
use crate::punching::{SECRET, card, is_whole};
use crate::reports::serve;
use crate::topology::PairTopology;

/// Sends a file from the first host to a command on the second one.
pub(crate) fn file() -> Outcome {
    let [first, second] = ["ei_apd", "ei_apd_r"].map(|name| named(name).ok_or("no such kind"));
    let kinds = [first?, second?];
    let topology = PairTopology::build(kinds)?;
    let server = format!("{}:3478", topology.server);
    let _server = serve(&topology.servers, &["--listen", &server, "--rendezvous", "--rendezvous-secret", SECRET], 1)?;
    let megabytes = if is_whole() { 100 } else { 8 };
    let folder = std::env::temp_dir();
    let [sent, received] = ["sent", "received"]
        .map(|name| folder.join(format!("portolan-pipe-{}-{}-{name}", std::process::id(), next_number())));
    fs::write(&sent, bytes(megabytes << 20))?;
    let cards = kinds.map(card);
    let base = |place: usize| {
        let card = cards.get(place).map_or("", String::as_str);
        ["punch", "--rendezvous", &server, "--room", "attic", "--secret", SECRET, "--card", card].map(str::to_owned)
    };
    let [left, right] = topology.clients();
    let store = format!("cat > '{}'", received.display());
    let arguments = [&base(1)[..], &["--", "sh", "-c", &store].map(str::to_owned)].concat();
    let mut receiver = right.inside(|| Ok(Process::start(portolan(&arguments)?)?))?;
    let mut sender = left.inside(|| {
        let mut command = portolan(&base(0))?;
        command.stdin(File::open(&sent)?);
        Ok(Process::start(command)?)
    })?;
    for side in [&mut sender, &mut receiver] {
        side.wait_for("connected to", TIMEOUT)?;
    }
    let began = Instant::now();
    let (sender, receiver) = (sender.finish(TIMEOUT)?, receiver.finish(TIMEOUT)?);
    let took = began.elapsed();
    let is_same = fs::read(&sent)? == fs::read(&received)?;
    for path in [sent, received] {
        fs::remove_file(path)?;
    }
    if !is_same || sender.code != Some(0) || receiver.code != Some(0) {
        return Err(format!("the file is the same: {is_same}; {sender:?} {receiver:?}").into());
    }
    let megabits = f64::from(megabytes) * 8.0 * 1.048_576 / took.as_secs_f64();
    eprintln!("pipe: {megabytes} MiB in {took:.1?}, {megabits:.0} Mbit/s");
    compare(&topology)
}

/// Measures the path with `iperf3`.
fn compare(topology: &PairTopology) -> Outcome {
    let [left, right] = topology.clients();
    let (outside, inside) = topology.second_addresses();
    topology.second_router()?.nft(&format!(
        "table ip forwarded {{ chain pre {{ type nat hook prerouting priority dstnat; \
         iifname \"wan\" meta l4proto {{ tcp, udp }} th dport {PORT} dnat to {inside}\n}}\n}}\n"
    ))?;
    for (name, extra) in [("TCP", &[][..]), ("UDP, 1,200 bytes", &["--udp", "--bitrate", "0", "--length", "1200"])] {
        let Some(mut listener) = iperf3(right, &["--server", "--one-off"])? else {
            eprintln!("pipe: iperf3 is not installed, so nothing is compared");
            return Ok(());
        };
        let to = outside;
        let arguments = [&["--client", to, "--time", "2", "--json", "--connect-timeout", "3000"][..], extra].concat();
        let mut found = None;
        for _ in 0..20 {
            // The listener may not be ready yet.
            let Some(client) = iperf3(left, &arguments)? else { break };
            let output = client.wait_with_output()?;
            let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
            let rate = ["/end/sum_received/bits_per_second", "/end/sum/bits_per_second"];
            found = rate.iter().find_map(|path| report.pointer(path)?.as_f64());
            if found.is_some() {
                break;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        // A listener that has ended needs no signal.
        let _ended = listener.kill();
        listener.wait()?;
        match found {
            Some(rate) => eprintln!("iperf3 through a forwarded port ({name}): {:.0} Mbit/s", rate / 1e6),
            None => return Err(format!("iperf3 ({name}) has no result").into()),
        }
    }
    Ok(())
}

/// Starts `iperf3` on a host; `None` if it is not installed.
fn iperf3(host: &Namespace, arguments: &[&str]) -> Outcome<Option<Child>> {
    host.inside(|| {
        let port = PORT.to_string();
        let mut command = tool("iperf3");
        command.args(arguments).args(["--port", &port]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        match command.spawn() {
            Ok(child) => Ok(Some(child)),
            Err(why) if why.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(why) => Err(why.into()),
        }
    })
}

/// Bytes that no compression shortens.
fn bytes(count: u32) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let next = |_| {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        (state >> 56) as u8
    };
    (0..count).map(next).collect()
}

/// The port of `iperf3`.
const PORT: u16 = 5201;
/// The bound of the whole transfer, in a debug build on a busy machine.
const TIMEOUT: Duration = Duration::from_secs(120);
