//! proptest strategies for STUN messages and NAT topologies, and portolan's machine laws with shrinking.
