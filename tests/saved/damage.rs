//! Files that are cut short, changed or made up.

use std::panic::{AssertUnwindSafe, catch_unwind};

use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;

use crate::cases::{CASES, Case};

const FLIPS: usize = 100_000;

fn small() -> Vec<(&'static Case, Vec<u8>, Vec<f64>)> {
    let all = CASES.iter().map(|case| (case, (case.bytes)(), (case.before)()));
    all.filter(|(_, bytes, _)| bytes.len() < 6_000).collect()
}

/// Whether it is refused, and not by a panic; or else the same numbers.
fn is_sound(case: &Case, bytes: &[u8], expected: &[f64]) -> bool {
    match catch_unwind(AssertUnwindSafe(|| (case.after)(bytes))) {
        Ok(Err(_)) => true,
        Ok(Ok(found)) => found.iter().map(|x| x.to_bits()).eq(expected.iter().map(|x| x.to_bits())),
        Err(_) => false,
    }
}

#[test]
fn every_truncation_says_so() {
    for case in CASES.iter().filter(|case| ["exact", "large_posterior", "svgp"].contains(&case.name)) {
        let bytes = (case.bytes)();
        for len in 0..bytes.len() {
            let error = (case.after)(&bytes[..len]).unwrap_err().to_string();
            assert!(error.contains("was cut short"), "{} of {}: {error}", len, bytes.len());
        }
        let longer = [bytes.as_slice(), b"\n"].concat();
        assert!((case.after)(&longer).unwrap_err().to_string().contains("bytes, but says"));
    }
}

#[test]
fn flipped_bits_are_found() {
    let cases = small();
    assert!(cases.len() > 20, "{}", cases.len());
    let mut rng = Pcg64::seed_from_u64(21);
    for trial in 0..FLIPS {
        let (case, bytes, expected) = &cases[trial % cases.len()];
        let mut flipped = bytes.clone();
        let bit = rng.random_range(0..8 * bytes.len());
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(is_sound(case, &flipped, expected), "{}: bit {bit}", case.name);
    }
}

/// CRC-64/XZ, bit by bit.
fn checksum(bytes: impl Iterator<Item = u8>) -> u64 {
    !bytes.fold(!0, |sum, byte| {
        (0..8).fold(sum ^ u64::from(byte), |sum, _| (sum >> 1) ^ if sum & 1 == 1 { 0xc96c_5795_d787_0f42 } else { 0 })
    })
}

/// Where the digits of the checksum stand.
fn digits(bytes: &[u8]) -> std::ops::Range<usize> {
    let start = bytes.windows(11).position(|window| window == b"\"checksum\":").unwrap() + 13;
    start..start + 16
}

/// The file with the checksum and the length of its bytes, as one who makes it up would write them.
fn signed(mut bytes: Vec<u8>) -> Vec<u8> {
    let at = digits(&bytes);
    let found = checksum(bytes[..at.start].iter().chain(&bytes[at.end..]).copied());
    bytes[at].copy_from_slice(format!("{found:016x}").as_bytes());
    bytes
}

#[test]
fn the_checksum_is_the_standard_one() {
    assert_eq!(checksum(b"123456789".iter().copied()), 0x995d_c9bb_df19_39fa);
    for (_, bytes, _) in small() {
        assert_eq!(signed(bytes.clone()), bytes);
    }
}

/// Numbers, names and signs are changed in a file whose checksum is right: it is another model then, or an error, and
/// never a panic.
#[test]
fn what_is_made_up_does_not_panic() {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let mut rng = Pcg64::seed_from_u64(22);
    let others: Vec<&[u8]> = vec![
        b"9",
        b"0",
        b"-",
        b"1e300",
        b"18446744073709551615",
        b"null",
        b"[]",
        b"{}",
        b"\"nan\"",
        b"[[]]",
        b"true",
        b"1e-320",
        b"\"\"",
    ];
    let (mut refused, mut failed) = (0, Vec::new());
    for (case, bytes, _) in &small() {
        let start = digits(bytes).end + 60;
        for _ in 0..60 {
            let place = rng.random_range(start..bytes.len() - 3);
            // A whole number or a word, or one byte.
            let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
            let first = (start..=place).rev().take_while(|&at| is_token(bytes[at])).last().unwrap_or(place);
            let last = (place..bytes.len()).take_while(|&at| is_token(bytes[at])).last().unwrap_or(place);
            let other = others[rng.random_range(0..others.len())];
            let mut changed = [&bytes[..first], other, &bytes[last + 1..]].concat();
            let (old, new) = (bytes.len().to_string(), changed.len().to_string());
            let at = changed.windows(old.len() + 1).position(|window| window == format!("{old},").as_bytes()).unwrap();
            changed.splice(at..at + old.len(), new.bytes());
            let changed = signed(changed);
            match catch_unwind(AssertUnwindSafe(|| (case.load)(&changed).is_err())) {
                Ok(is_refused) => refused += usize::from(is_refused),
                Err(_) => failed.push((case.name, String::from_utf8_lossy(&changed).into_owned())),
            }
        }
    }
    std::panic::set_hook(hook);
    assert!(failed.is_empty(), "{} panics; the first: {}\n{}", failed.len(), failed[0].0, failed[0].1);
    assert!(refused > 500, "{refused}");
}
