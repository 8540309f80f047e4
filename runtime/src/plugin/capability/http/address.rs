//! Which addresses a plugin may be connected to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What kind of place an address is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reach {
    /// Anybody's.
    Public,
    /// Inside: only where reviewer and host both allow it.
    Private,
    /// Never: cloud metadata, nobody's or everybody's address.
    Forbidden,
}

/// Metadata services and their helpers: they give out credentials of the machine to whoever asks from it.
const METADATA: [Ipv4Addr; 6] = [
    Ipv4Addr::new(169, 254, 169, 254),
    Ipv4Addr::new(169, 254, 170, 2),
    Ipv4Addr::new(169, 254, 170, 23),
    Ipv4Addr::new(169, 254, 0, 23),
    Ipv4Addr::new(100, 100, 100, 200),
    Ipv4Addr::new(192, 0, 0, 192),
];

const METADATA_V6: [Ipv6Addr; 2] = [
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254),
    Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254),
];

/// Tells what an address is, in whatever form it carries an older one.
pub(super) fn reach(address: IpAddr) -> Reach {
    match address {
        IpAddr::V4(address) => reach_v4(address),
        IpAddr::V6(address) => reach_v6(address),
    }
}

fn reach_v4(address: Ipv4Addr) -> Reach {
    let [a, b, c, _] = address.octets();
    if METADATA.contains(&address) || address.is_unspecified() || address.is_broadcast() || a >= 224
    {
        return Reach::Forbidden;
    }
    let shared = a == 100 && (64..128).contains(&b);
    let protocols = a == 192 && b == 0 && c == 0;
    let benchmark = a == 198 && (b == 18 || b == 19);
    let relay = a == 192 && b == 88 && c == 99;
    let inside = address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_documentation()
        || a == 0
        || shared
        || protocols
        || benchmark
        || relay;
    if inside {
        Reach::Private
    } else {
        Reach::Public
    }
}

fn reach_v6(address: Ipv6Addr) -> Reach {
    let [a, b, c, d, e, f, g, h] = address.segments();
    let carried = || reach_v4(Ipv4Addr::from((u32::from(g) << 16) | u32::from(h)));
    if address.is_unspecified() || address.is_multicast() || METADATA_V6.contains(&address) {
        return Reach::Forbidden;
    }
    if address.is_loopback() {
        return Reach::Private;
    }
    match (a, b, c, d, e, f) {
        // An IPv4 address, mapped, translated or merely padded.
        (0, 0, 0, 0, 0 | 0xffff, 0xffff | 0) => carried().max(if f == 0xffff {
            Reach::Public
        } else {
            Reach::Private
        }),
        // NAT64: the gateway goes to the carried address.
        (0x64, 0xff9b, 0, 0, 0, 0) => carried(),
        // Tunnels (6to4, Teredo, local NAT64): where they end is not for us to know.
        (0x2002, ..) | (0x2001, 0, ..) | (0x64, 0xff9b, 1, ..) => Reach::Forbidden,
        // ISATAP: the host part carries the address.
        (_, _, _, _, 0 | 0x200, 0x5efe) => Reach::Private.max(carried()),
        // Documentation, and all of `2001::/23` that is no one's.
        (0x2001, 0xdb8, ..) | (0x2001, 1..0x200, ..) | (0x3fff, 0..0x1000, ..) => Reach::Private,
        // Global unicast; the rest is unique-local, link-local, site-local or not assigned.
        (0x2000..0x4000, ..) => Reach::Public,
        _ => Reach::Private,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Reach {
        reach(text.parse().unwrap())
    }

    #[test]
    fn public_addresses_are_public_in_every_form() {
        for text in [
            "1.1.1.1",
            "140.82.121.6",
            "2606:4700::1111",
            "::ffff:1.1.1.1",
            "64:ff9b::101:101",
        ] {
            assert_eq!(of(text), Reach::Public, "{text}");
        }
    }

    #[test]
    fn inside_addresses_are_private_in_every_form() {
        for text in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "100.64.0.1",
            "169.254.1.1",
            "0.1.2.3",
            "192.0.0.1",
            "198.18.0.1",
            "192.0.2.1",
            "::1",
            "fd00::1",
            "fe80::1",
            "fec0::1",
            "::ffff:10.0.0.1",
            "::10.0.0.1",
            "::ffff:0:10.0.0.1",
            "64:ff9b::a00:1",
            "2001:db8::1",
            "2606:4700::5efe:101:101",
            "::1.1.1.1",
            "4000::1",
        ] {
            assert_eq!(of(text), Reach::Private, "{text}");
        }
    }

    #[test]
    fn metadata_and_nobodys_addresses_are_forbidden_in_every_form() {
        for text in [
            "169.254.169.254",
            "169.254.170.2",
            "100.100.100.200",
            "192.0.0.192",
            "0.0.0.0",
            "255.255.255.255",
            "224.0.0.1",
            "240.0.0.1",
            "::",
            "ff02::1",
            "fd00:ec2::254",
            "::ffff:169.254.169.254",
            "::169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "::ffff:0:169.254.169.254",
            "fe80::5efe:a9fe:a9fe",
            "64:ff9b:1::101:101",
            "2002:a00:1::",
            "2001::1",
        ] {
            assert_eq!(of(text), Reach::Forbidden, "{text}");
        }
    }
}
