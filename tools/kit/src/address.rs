//! Ranges of network addresses, by which a key can be tied to where it is used.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// One address, or all that begin with the same bits: `203.0.113.7`, `10.0.0.0/8`, `2001:db8::/32`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AddressRange {
    first: IpAddr,
    bits: u32,
}

impl AddressRange {
    /// Reads an address or a range. What lies beyond the bits of a range is dropped: `10.1.2.3/8` is `10.0.0.0/8`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let wrong = || format!("`{text}` is neither an address nor a range such as 10.0.0.0/8 or 2001:db8::/32");
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let written: IpAddr = address.parse().map_err(|_| wrong())?;
        // A connection is of one family: an IPv4 address written as IPv6 means the IPv4 one.
        let address = written.to_canonical();
        let width = width(&address);
        let mut size = width;
        if let Some(bits) = bits {
            let digits = !bits.is_empty() && bits.bytes().all(|byte| byte.is_ascii_digit());
            size = bits.parse().ok().filter(|_| digits).ok_or_else(wrong)?;
            if written != address {
                // ::ffff:10.0.0.0/104 is 10.0.0.0/8.
                size = size.checked_sub(96).ok_or_else(wrong)?;
            }
        }
        if size > width {
            return Err(wrong());
        }
        Ok(Self { first: masked(address, size), bits: size })
    }

    /// Whether an address lies within.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.first.is_ipv4() && masked(address, self.bits) == self.first
    }

    /// Whether this machine's own address lies within.
    fn contains_this_machine(&self) -> bool {
        self.contains(IpAddr::V4(Ipv4Addr::LOCALHOST)) || self.contains(IpAddr::V6(Ipv6Addr::LOCALHOST))
    }

    /// Whether a call may come from here. A call without an address, over stdio, a socket file or the command line, comes
    /// from this machine: it is as good as one from a loopback address.
    pub fn admits(&self, address: Option<IpAddr>) -> bool {
        address.map_or_else(|| self.contains_this_machine(), |address| self.contains(address))
    }
}

fn width(address: &IpAddr) -> u32 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn masked(address: IpAddr, bits: u32) -> IpAddr {
    // A shift by the whole width has no meaning for the machine: no bits are left.
    match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32_u32.saturating_sub(bits)).unwrap_or(0);
            IpAddr::V4(Ipv4Addr::from_bits(address.to_bits() & mask))
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128_u32.saturating_sub(bits)).unwrap_or(0);
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & mask))
        }
    }
}

impl fmt::Display for AddressRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.bits == width(&self.first) {
            return write!(f, "{}", self.first);
        }
        write!(f, "{}/{}", self.first, self.bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_in_one_form_and_hold_what_they_say() {
        for (text, shown, within, outside) in [
            ("203.0.113.7", "203.0.113.7", "203.0.113.7", "203.0.113.8"),
            ("10.1.2.3/8", "10.0.0.0/8", "10.255.0.1", "11.0.0.0"),
            ("0.0.0.0/0", "0.0.0.0/0", "8.8.8.8", "::1"),
            ("192.168.1.0/24", "192.168.1.0/24", "::ffff:192.168.1.9", "192.168.2.9"),
            ("::ffff:10.0.0.0/104", "10.0.0.0/8", "10.2.3.4", "::ffff:9.0.0.1"),
            ("2001:DB8::1/32", "2001:db8::/32", "2001:db8:ffff::", "2001:db9::"),
            ("::1", "::1", "::1", "127.0.0.1"),
            ("::/0", "::/0", "fe80::1", "127.0.0.1"),
        ] {
            let range = AddressRange::parse(text).unwrap();
            assert_eq!(range.to_string(), shown);
            assert!(range.contains(within.parse().unwrap()), "{within} in {text}");
            assert!(!range.contains(outside.parse().unwrap()), "{outside} not in {text}");
        }
        for text in [
            "",
            "10.0.0.0/33",
            "10.0.0.0/",
            "10.0.0.0/+8",
            "10.0.0.0/-1",
            "::/129",
            "10.0.0",
            "host",
            "::ffff:1.2.3.4/95",
        ] {
            assert!(AddressRange::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_call_without_an_address_comes_from_this_machine() {
        for (text, admitted) in
            [("127.0.0.1", true), ("::1", true), ("127.0.0.0/8", true), ("10.0.0.0/8", false), ("::/0", true)]
        {
            assert_eq!(AddressRange::parse(text).unwrap().admits(None), admitted, "{text}");
        }
    }
}
