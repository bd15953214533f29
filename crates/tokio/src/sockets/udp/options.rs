//! Socket options that `quinn-udp` sets and that neither `quinn-udp` nor `socket2` can reset.
//!
//! `quinn-udp` sets on every socket: packet information, traffic class, timestamps, receive offload (GRO), no
//! fragmentation, and the error queue.
//!
//! * [`SocketOptions`] holds the state before that, so that a released socket behaves as before.
//! * [`set_fragmentation`] allows fragmentation for single datagrams.
//! * [`set_receive_offload`] turns the receive offload on only for busy sockets.
//! * [`omit_ancillary_data`] turns off the options whose values the driver does not read. The kernel copies each of
//!   them with each datagram, and timestamps cost time for every packet of the host.
//!
//! Only Linux and Android are implemented. On other systems the options of a released socket stay as `quinn-udp` set
//! them, and a datagram larger than the path MTU is not sent.

pub(super) use system::{SocketOptions, omit_ancillary_data, set_fragmentation, set_receive_offload};

#[cfg(any(target_os = "linux", target_os = "android"))]
mod system {
    use nix::sys::socket::{GetSockOpt, SetSockOpt, sockopt};
    use rustix::net::sockopt::{self as path_mtu, Ipv4PathMtuDiscovery, Ipv6PathMtuDiscovery};
    use socket2::SockRef;
    use std::io::Result;
    use std::os::fd::AsFd;

    /// The state of the options of one socket; `None` where the system does not support an option.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(in super::super) struct SocketOptions {
        ipv4: Ipv4Options,
        /// `Some` for an IPv6 socket. Such a socket has IPv4 options too, for IPv4-mapped addresses.
        ipv6: Option<Ipv6Options>,
        /// `UDP_GRO`: datagrams of one flow arrive as one buffer.
        receive_offload: Option<bool>,
        /// `UDP_SEGMENT`: the segment size of every send.
        segment_size: Option<i32>,
        /// `SO_TIMESTAMPNS`.
        timestamps: Option<bool>,
    }

    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    struct Ipv4Options {
        traffic_class: Option<bool>,
        packet_info: Option<bool>,
        error_queue: Option<bool>,
        path_mtu: Option<Ipv4PathMtuDiscovery>,
    }

    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    struct Ipv6Options {
        traffic_class: Option<bool>,
        packet_info: Option<bool>,
        error_queue: Option<bool>,
        path_mtu: Option<Ipv6PathMtuDiscovery>,
        no_fragments: Option<bool>,
    }

    impl SocketOptions {
        /// Reads the options of a socket.
        pub(in super::super) fn read(socket: &impl AsFd, is_ipv4: bool) -> Self {
            Self {
                ipv4: Ipv4Options::read(socket),
                ipv6: (!is_ipv4).then(|| Ipv6Options::read(socket)),
                receive_offload: get(socket, sockopt::UdpGroSegment),
                segment_size: get(socket, sockopt::UdpGsoSegment),
                timestamps: get(socket, sockopt::ReceiveTimestampns),
            }
        }

        /// Sets all options of the same socket to this state. Also clears the pending errors: a socket without an error
        /// queue would return them from its next call.
        pub(in super::super) fn restore(&self, socket: &impl AsFd) {
            // If the kernel does not return the state of the receive offload, the offload was off: that is the default.
            set(socket, sockopt::UdpGroSegment, Some(self.receive_offload.unwrap_or(false)));
            set(socket, sockopt::UdpGsoSegment, self.segment_size);
            set(socket, sockopt::ReceiveTimestampns, self.timestamps);
            self.ipv4.restore(socket);
            if let Some(ipv6) = self.ipv6 {
                ipv6.restore(socket);
            }
            // The error queue is empty, because turning it off empties it. Only the pending error is left.
            let _pending = SockRef::from(socket).take_error();
        }
    }

    impl Ipv4Options {
        fn read(socket: &impl AsFd) -> Self {
            Self {
                traffic_class: get(socket, sockopt::IpRecvTos),
                packet_info: get(socket, sockopt::Ipv4PacketInfo),
                error_queue: get(socket, sockopt::Ipv4RecvErr),
                path_mtu: path_mtu::ip_mtu_discover(socket).ok(),
            }
        }

        fn restore(self, socket: &impl AsFd) {
            set(socket, sockopt::IpRecvTos, self.traffic_class);
            set(socket, sockopt::Ipv4PacketInfo, self.packet_info);
            set(socket, sockopt::Ipv4RecvErr, self.error_queue);
            if let Some(path_mtu) = self.path_mtu {
                let _unknown = path_mtu::set_ip_mtu_discover(socket, path_mtu);
            }
        }
    }

    impl Ipv6Options {
        fn read(socket: &impl AsFd) -> Self {
            Self {
                traffic_class: get(socket, sockopt::Ipv6RecvTClass),
                packet_info: get(socket, sockopt::Ipv6RecvPacketInfo),
                error_queue: get(socket, sockopt::Ipv6RecvErr),
                path_mtu: path_mtu::ipv6_mtu_discover(socket).ok(),
                no_fragments: get(socket, sockopt::Ipv6DontFrag),
            }
        }

        fn restore(self, socket: &impl AsFd) {
            set(socket, sockopt::Ipv6RecvTClass, self.traffic_class);
            set(socket, sockopt::Ipv6RecvPacketInfo, self.packet_info);
            set(socket, sockopt::Ipv6RecvErr, self.error_queue);
            set(socket, sockopt::Ipv6DontFrag, self.no_fragments);
            if let Some(path_mtu) = self.path_mtu {
                let _unknown = path_mtu::set_ipv6_mtu_discover(socket, path_mtu);
            }
        }
    }

    fn get<O: GetSockOpt>(socket: &impl AsFd, option: O) -> Option<O::Val> {
        option.get(socket).ok()
    }

    /// Sets an option; does nothing for `None`. An error means that the system does not support the option.
    fn set<T, O: SetSockOpt<Val = T>>(socket: &impl AsFd, option: O, value: Option<T>) {
        if let Some(value) = value {
            let _unknown = option.set(socket, &value);
        }
    }

    /// Turns the receive offload on or off for datagrams that arrive later.
    pub(in super::super) fn set_receive_offload(socket: &impl AsFd, on: bool) {
        set(socket, sockopt::UdpGroSegment, Some(on));
    }

    /// Turns off timestamps and the traffic class, and packet information too if `packet_info` is false.
    pub(in super::super) fn omit_ancillary_data(socket: &impl AsFd, is_ipv4: bool, packet_info: bool) {
        set(socket, sockopt::ReceiveTimestampns, Some(false));
        set(socket, sockopt::IpRecvTos, Some(false));
        if !is_ipv4 {
            set(socket, sockopt::Ipv6RecvTClass, Some(false));
        }
        match (packet_info, is_ipv4) {
            (true, _) => {}
            (false, true) => set(socket, sockopt::Ipv4PacketInfo, Some(false)),
            (false, false) => set(socket, sockopt::Ipv6RecvPacketInfo, Some(false)),
        }
    }

    /// Allows the system to send datagrams in fragments, or forbids it again as `quinn-udp` does.
    ///
    /// When allowed, the system fragments a datagram that is larger than the known path MTU, as on any other socket.
    pub(in super::super) fn set_fragmentation(socket: &impl AsFd, is_ipv4: bool, allowed: bool) -> Result<()> {
        if is_ipv4 {
            let mode = if allowed { Ipv4PathMtuDiscovery::WANT } else { Ipv4PathMtuDiscovery::PROBE };
            path_mtu::set_ip_mtu_discover(socket, mode)?;
        } else {
            let mode = if allowed { Ipv6PathMtuDiscovery::WANT } else { Ipv6PathMtuDiscovery::PROBE };
            path_mtu::set_ipv6_mtu_discover(socket, mode)?;
            sockopt::Ipv6DontFrag.set(socket, &!allowed)?;
        }
        Ok(())
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod system {
    use std::io::{ErrorKind, Result};

    /// No options are known on this system.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(in super::super) struct SocketOptions;

    impl SocketOptions {
        pub(in super::super) fn read<S>(_: &S, _: bool) -> Self {
            Self
        }

        pub(in super::super) fn restore<S>(&self, _: &S) {}
    }

    pub(in super::super) fn set_receive_offload<S>(_: &S, _: bool) {}

    pub(in super::super) fn omit_ancillary_data<S>(_: &S, _: bool, _: bool) {}

    pub(in super::super) fn set_fragmentation<S>(_: &S, _: bool, _: bool) -> Result<()> {
        Err(ErrorKind::Unsupported.into())
    }
}
