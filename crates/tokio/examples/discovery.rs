//! The type of the NAT behind which this host is, measured with the tokio driver.
//!
//! `cargo run -p portolan-tokio --example discovery` measures against a server in the same program, over the loopback
//! interface. With the addresses of servers as arguments it measures the network: `… --example discovery 192.0.2.1:3478`.

use core::error::Error;
use core::net::SocketAddr;
use portolan_nat::discovery::{Discovery, DiscoveryConfig, MeasurementCommand, StunServer};
use portolan_nat::event::DiscoveryEvent;
use portolan_stun_agent::{Responder, ResponderCommand, ResponderConfig, ResponderEvent};
use portolan_tokio::Driver;

/// Measures with these servers, and prints one line for each address family.
async fn discover(servers: Vec<SocketAddr>) -> Result<(), Box<dyn Error>> {
    let server = |address: SocketAddr| StunServer { name: address.to_string().into(), addresses: vec![address] };
    let config = DiscoveryConfig::new(servers.into_iter().map(server).collect());
    let mut driver = Driver::new(Discovery::new(config)?)?;
    driver.command(MeasurementCommand::Start)?;
    loop {
        if let DiscoveryEvent::Report(report) = driver.next().await {
            for family in &report.families {
                println!(
                    "{}: NAT {}, type {}, public {:?}",
                    family.family,
                    family.device(),
                    family.classic_type(),
                    family.public
                );
            }
            return Ok(());
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<SocketAddr> = std::env::args().skip(1).map(|text| text.parse()).collect::<Result<_, _>>()?;
    if !arguments.is_empty() {
        return discover(arguments).await;
    }
    let listen = ResponderConfig::new().listen(([127, 0, 0, 1], 0).into());
    let mut server = Driver::new(Responder::new(&listen)?)?;
    server.command(ResponderCommand::Start)?;
    let ResponderEvent::Listening { local, .. } = server.next().await else { return Err("no server socket".into()) };
    tokio::select! {
        result = discover(vec![local]) => result,
        () = async { loop { server.next().await; } } => Ok(()),
    }
}
