//! Which part of the catalog a family's prices live in.

use std::fmt;

use crate::AccountId;
use crate::limits::PARTITIONS;

/// A part of the catalog: one of 64, or what all accounts share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Partition {
    /// Items, accounts, groups, lists and contracts that serve more than one family.
    Shared,
    /// Contracts and price rows of the families that hash here; 0 to 63.
    Family(u8),
}

impl Partition {
    /// CRC-32 (zlib) of the UTF-8 id of the family's topmost account, modulo 64.
    pub fn of_root(root: &AccountId) -> Self {
        Self::Family((crc32fast::hash(root.as_str().as_bytes()) % u32::from(PARTITIONS)) as u8)
    }
}

impl fmt::Display for Partition {
    /// The subject token: `shared`, or two digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shared => f.write_str("shared"),
            Self::Family(number) => write!(f, "{number:02}"),
        }
    }
}

impl std::str::FromStr for Partition {
    type Err = ();
    fn from_str(token: &str) -> Result<Self, ()> {
        if token == "shared" {
            return Ok(Self::Shared);
        }
        let digits = token.len() == 2 && token.bytes().all(|b| b.is_ascii_digit());
        match token.parse::<u8>() {
            Ok(number) if digits && number < PARTITIONS => Ok(Self::Family(number)),
            _ => Err(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_round_trip() {
        for partition in [Partition::Shared, Partition::Family(0), Partition::Family(63)] {
            assert_eq!(partition.to_string().parse(), Ok(partition));
        }
        for bad in ["64", "7", "+7", "", "Shared", "007"] {
            assert_eq!(bad.parse::<Partition>(), Err(()), "{bad:?}");
        }
    }

    #[test]
    fn crc32_is_zlibs() {
        // python3 -c 'import zlib; print(zlib.crc32(b"C-1001") % 64)'
        assert_eq!(Partition::of_root(&AccountId::new("C-1001").unwrap()), Partition::Family(CRC_OF_C_1001));
    }

    const CRC_OF_C_1001: u8 = 9;
}
