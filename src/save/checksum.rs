//! The checksum of a file.

use crc::{CRC_64_XZ, Crc, Table};

const CRC: Crc<u64, Table<16>> = Crc::<u64, Table<16>>::new(&CRC_64_XZ);

/// The CRC-64 of bytes that are in parts, as 16 digits.
///
/// It finds every change that is within 64 bits in a row, so every change of one number, and all but one in 2⁶⁴ of the
/// others.
pub(super) fn checksum(parts: &[&[u8]]) -> String {
    let mut digest = CRC.digest();
    parts.iter().for_each(|part| digest.update(part));
    format!("{:016x}", digest.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The sums of files that were written must not change: those of CRC-64/XZ.
    #[test]
    fn sums_are_the_standard_ones() {
        assert_eq!(checksum(&[b"123456789"]), "995dc9bbdf1939fa");
        assert_eq!(checksum(&[b"1234", b"", b"56789"]), "995dc9bbdf1939fa");
    }
}
