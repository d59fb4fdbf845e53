//! Checksums of what is saved.

use crc::{CRC_64_XZ, Crc};
use serde::Serialize;

use crate::{Error, Result};

const CRC: Crc<u64> = Crc::<u64>::new(&CRC_64_XZ);

/// The CRC-64 of a value, of what it is and not of how a format writes it: numbers by their bits, texts and sequences
/// with their lengths.
///
/// It finds every change that is within 64 bits in a row, so every change of one number, and all but one in 2⁶⁴ of the
/// others.
pub(crate) fn checksum(value: &impl Serialize) -> Result<String> {
    let refused = |error| Error::setting("the value to be saved", error, "must have a length where it is a sequence");
    Ok(format!("{:016x}", CRC.checksum(&postcard::to_stdvec(value).map_err(refused)?)))
}

/// Refuses a value that was read if its checksum is not the one that was saved with it.
pub(crate) fn check_sum(what: &str, value: &impl Serialize, saved: Option<&str>) -> Result<()> {
    let found = checksum(value)?;
    if saved == Some(&found) {
        return Ok(());
    }
    let expected = format!(
        "must be {found}, as what was read has: it was changed since it was saved, was saved by another version of this \
         library, or its format does not keep numbers to the last bit (serde_json does with its feature \
         `float_roundtrip`); read a sound copy, or make and save it again"
    );
    Err(Error::setting(&format!("the checksum of {what}"), saved.unwrap_or("missing"), &expected))
}

/// Asserts that a value goes through formats to where it was, and that no flip of a bit makes another of it: it is an
/// error, or nothing that counts, as the case of an exponent.
#[cfg(test)]
pub(crate) fn assert_flips_are_found<T: Serialize + serde::de::DeserializeOwned>(value: &T) {
    #![allow(clippy::unwrap_used)]
    let (text, bytes) = (serde_json::to_string(value).unwrap(), postcard::to_stdvec(value).unwrap());
    let pretty = serde_json::to_string_pretty(value).unwrap();
    let is_same = |read: T| serde_json::to_string(&read).unwrap() == text;
    let check = |saved: &[u8], read: &dyn Fn(&[u8]) -> Option<T>| {
        assert!(read(saved).is_some_and(is_same));
        let (mut flipped, mut refused) = (saved.to_vec(), 0);
        for bit in 0..8 * saved.len() {
            flipped[bit / 8] ^= 1 << (bit % 8);
            match read(&flipped) {
                Some(other) => assert!(is_same(other), "bit {bit} makes another value"),
                None => refused += 1,
            }
            flipped[bit / 8] ^= 1 << (bit % 8);
        }
        assert!(refused > 7 * saved.len(), "{refused} of {} flips are errors", 8 * saved.len());
    };
    let of_json = |saved: &[u8]| serde_json::from_slice(saved).ok();
    check(text.as_bytes(), &of_json);
    check(pretty.as_bytes(), &of_json);
    check(&bytes, &|saved| postcard::from_bytes(saved).ok());
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn values_that_differ_have_other_sums() {
        let sums = [
            checksum(&(vec![1.0, 2.0], vec![3.0])),
            checksum(&(vec![1.0], vec![2.0, 3.0])),
            checksum(&(vec![1.0, 2.0], vec![3f64.next_up()])),
            checksum(&(vec![-1.0, 2.0], vec![3.0])),
            checksum(&(vec![-1.0, -2.0], vec![3.0])),
            checksum(&(vec![0.0; 2], vec![0.0])),
            checksum(&(vec![-0.0, 0.0], vec![0.0])),
            checksum(&(vec!["ab", "c"], Some(1))),
            checksum(&(vec!["a", "bc"], Some(1))),
            checksum(&(vec!["a", "bc"], None::<i32>)),
        ];
        let sums: Vec<String> = sums.into_iter().map(Result::unwrap).collect();
        let different: std::collections::BTreeSet<_> = sums.iter().collect();
        assert_eq!(different.len(), sums.len());
    }

    /// The sums of files that were written must not change: CRC-64/XZ of the bytes 2 (the length), 49 and 50.
    #[test]
    fn sums_are_the_standard_ones() {
        assert_eq!(CRC.checksum(b"123456789"), 0x995d_c9bb_df19_39fa);
        assert_eq!(checksum(&"12").unwrap(), format!("{:016x}", CRC.checksum(&[2, 49, 50])));
    }

    #[test]
    fn a_wrong_sum_says_what_to_do() {
        let value = (1.0, "text");
        let sum = checksum(&value).unwrap();
        assert_eq!(check_sum("it", &value, Some(&sum)), Ok(()));
        for saved in [None, Some("0123456789abcdef")] {
            let error = check_sum("it", &value, saved).unwrap_err().to_string();
            assert!(error.starts_with(&format!("the checksum of it is {}", saved.unwrap_or("missing"))), "{error}");
            assert!(error.contains(&sum) && error.contains("read a sound copy"), "{error}");
        }
    }
}
