//! The bytes of a file.
//!
//! ```text
//! {
//!   "mercer": 1,
//!   "checksum": "0123456789abcdef",
//!   "length": 1234,
//!   "beside": 567,
//!   "version": "0.1.0",
//!   "content": {"type": "exact_gp", …}
//! }
//! ```
//!
//! and behind it as many bytes of safetensors as `beside` says. The first lines are always these, with these spaces.

use safetensors::SafeTensors;
use safetensors::tensor::serialize;

use super::checksum::checksum;
use super::json::{Head, quoted};
use super::reader::Place;
use super::value::Node;
use crate::{Error, Result};

/// The format that this version writes, and the newest that it reads.
const FORMAT: u64 = 1;

const FIRST: &str = "{\n  \"mercer\": ";
const CHECKSUM: &str = ",\n  \"checksum\": \"";
const LENGTH: &str = "\",\n  \"length\": ";
const BESIDE: &str = ",\n  \"beside\": ";
/// The number of digits of a checksum.
const DIGITS: usize = 16;

fn refused(reason: impl Into<String>) -> Error {
    Error::Saved { file: None, reason: reason.into() }
}

/// A file with this content.
pub(super) fn encode(content: &Node) -> Result<Vec<u8>> {
    let head = Head::of(content);
    let beside = beside(&head)?;
    let version = quoted(env!("CARGO_PKG_VERSION"));
    let rest = format!("{BESIDE}{},\n  \"version\": {version},\n  \"content\": {}\n}}\n", beside.len(), head.text);
    let start = format!("{FIRST}{FORMAT}{CHECKSUM}");
    let without = start.len() + DIGITS + LENGTH.len() + rest.len() + beside.len();
    // Its own digits count too.
    let length = (1..=20).map(|digits| without + digits).find(|length| without + length.to_string().len() == *length);
    let tail = format!("{LENGTH}{}{rest}", length.unwrap_or(without));
    let sum = checksum(&[start.as_bytes(), tail.as_bytes(), &beside]);
    Ok([start.as_bytes(), sum.as_bytes(), tail.as_bytes(), &beside].concat())
}

fn beside(head: &Head<'_>) -> Result<Vec<u8>> {
    if head.beside.is_empty() {
        return Ok(Vec::new());
    }
    let views = head.beside.iter().map(|(name, array)| (name.as_str(), *array));
    serialize(views, None).map_err(|error| refused(format!("has numbers that safetensors does not take: {error}")))
}

/// What a file has been found to be, from its first lines.
struct Opened<'a> {
    head: &'a str,
    beside: &'a [u8],
}

/// Reads a file, whose content `read` takes.
pub(super) fn decode<V>(bytes: &[u8], read: impl FnOnce(&Place<'_>) -> Result<V>) -> Result<V> {
    let opened = open(bytes)?;
    let corrupt = |error: &dyn std::fmt::Display| refused(format!("cannot be read: {error}"));
    let json: serde_json::Value = serde_json::from_str(opened.head).map_err(|error| corrupt(&error))?;
    let beside = match opened.beside {
        [] => None,
        bytes => Some(SafeTensors::deserialize(bytes).map_err(|error| corrupt(&error))?),
    };
    let root = Place::root(&json, beside.as_ref());
    let content = json.get("content").ok_or_else(|| root.error("has no `content`"))?;
    read(&root.child("", content)).map_err(|error| match (error, json.get("version")) {
        (Error::Saved { file, reason }, Some(serde_json::Value::String(version))) => {
            Error::Saved { file, reason: with_version(reason, version) }
        }
        (error, _) => error,
    })
}

/// With the version that wrote a file, if that is another one.
fn with_version(reason: String, version: &str) -> String {
    if version == env!("CARGO_PKG_VERSION") { reason } else { format!("{reason} (it was saved by mercer {version})") }
}

/// Checks all bytes of a file.
fn open(bytes: &[u8]) -> Result<Opened<'_>> {
    let short = || refused(format!("was cut short, after {} bytes: take a whole copy", bytes.len()));
    let foreign = || refused("is not one of mercer: it does not begin as such a file does");
    let mut rest = bytes;
    expect(&mut rest, FIRST.as_bytes(), short, foreign)?;
    let format = digits(&mut rest).ok_or_else(|| if rest.is_empty() { short() } else { foreign() })?;
    if format > FORMAT && rest.first() == Some(&b',') {
        return Err(refused(format!(
            "is of format {format}, and this version of mercer reads up to format {FORMAT}: read it with a newer version"
        )));
    }
    let changed = || refused("was changed since it was saved, in its first lines: take a sound copy, or save it again");
    if format != FORMAT {
        return Err(if rest.is_empty() { short() } else { changed() });
    }
    expect(&mut rest, CHECKSUM.as_bytes(), short, changed)?;
    let start = bytes.len() - rest.len();
    let (sum, after) = rest.split_at_checked(DIGITS).ok_or_else(short)?;
    rest = after;
    expect(&mut rest, LENGTH.as_bytes(), short, changed)?;
    let length = digits(&mut rest).ok_or_else(|| if rest.is_empty() { short() } else { changed() })?;
    // Cut within these digits.
    if rest.is_empty() {
        return Err(short());
    }
    match bytes.len() as u64 {
        found if found < length => {
            return Err(refused(format!("was cut short: it has {found} of {length} bytes; take a whole copy")));
        }
        found if found > length => {
            return Err(refused(format!("has {found} bytes, but says {length}: take a sound copy, or save it again")));
        }
        _ => {}
    }
    let found = checksum(&[&bytes[..start], after]);
    if sum != found.as_bytes() {
        return Err(refused(format!(
            "was changed since it was saved: its checksum is {}, and that of its bytes {found}; take a sound copy, or save it again",
            String::from_utf8_lossy(sum)
        )));
    }
    expect(&mut rest, BESIDE.as_bytes(), short, changed)?;
    let beside = digits(&mut rest).and_then(|count| usize::try_from(count).ok()).ok_or_else(changed)?;
    let head = bytes.len().checked_sub(beside).filter(|head| *head > start).ok_or_else(changed)?;
    let (head, beside) = bytes.split_at(head);
    Ok(Opened { head: std::str::from_utf8(head).map_err(|_| changed())?, beside })
}

/// Takes what has to come next.
fn expect(rest: &mut &[u8], next: &[u8], short: impl Fn() -> Error, other: impl Fn() -> Error) -> Result<()> {
    match rest.strip_prefix(next) {
        Some(after) => {
            *rest = after;
            Ok(())
        }
        None if next.starts_with(rest) => Err(short()),
        None => Err(other()),
    }
}

/// Takes a whole number.
fn digits(rest: &mut &[u8]) -> Option<u64> {
    let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (number, after) = rest.split_at(count);
    *rest = after;
    std::str::from_utf8(number).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use faer::Mat;

    use super::*;
    use crate::save::value::{FromValue, Lower, Numbers, Value};
    use crate::save::{Load, Reader, Save, Writer, from_bytes};

    const ODD: [f64; 8] = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0, 5e-324, f64::MAX, 1.0 / 3.0, 1e22];

    /// Numbers of all kinds, so many of them.
    struct Many {
        list: Vec<f64>,
        single: Mat<f32>,
        lower: Mat<f64>,
        empty: Mat<f64>,
        one: f64,
        text: String,
    }

    impl Many {
        fn new(n: usize) -> Self {
            let odd = |index: usize| ODD[index % ODD.len()];
            Self {
                list: (0..n).map(odd).collect(),
                single: Mat::from_fn(n, 2, |row, col| odd(row + col) as f32),
                lower: Mat::from_fn(n, n, |row, col| if row < col { 0.0 } else { odd(row * col) }),
                empty: Mat::zeros(0, 3),
                one: f64::NEG_INFINITY,
                text: "a \"quoted\"\n\u{1f600} text".to_owned(),
            }
        }

        fn bits(&self) -> Vec<u64> {
            let single = self
                .single
                .col_iter()
                .flat_map(|column| column.iter().map(|x| u64::from(x.to_bits())).collect::<Vec<_>>());
            let lower = self.lower.col_iter().flat_map(|column| column.iter().map(|x| x.to_bits()).collect::<Vec<_>>());
            self.list.iter().map(|x| x.to_bits()).chain(single).chain(lower).chain([self.one.to_bits()]).collect()
        }
    }

    impl Save for Many {
        const NAME: &'static str = "many";

        fn write(&self, to: &mut Writer) -> Result<()> {
            to.put("list", self.list.as_slice())?;
            to.put("single", &self.single)?;
            to.put("lower", &Lower(&self.lower))?;
            to.put("empty", &self.empty)?;
            to.put("one", &self.one)?;
            to.put("text", &self.text)
        }
    }

    impl Load for Many {
        fn read(from: &mut Reader<'_>) -> Result<Self> {
            let (Numbers(list), Lower(lower)) = (from.take("list")?, from.take("lower")?);
            let (single, empty, one) = (from.take("single")?, from.take("empty")?, from.take("one")?);
            Ok(Self { list, single, lower, empty, one, text: from.take("text")? })
        }
    }

    #[test]
    fn numbers_of_all_kinds_come_back_in_the_head_and_beside_it() {
        for n in [1, 5, 60] {
            let many = Many::new(n);
            let bytes = many.to_bytes().unwrap();
            assert_eq!(many.to_bytes().unwrap(), bytes);
            assert_eq!(std::str::from_utf8(&bytes).is_err(), n == 60);
            let read: Many = from_bytes(&bytes).unwrap();
            assert_eq!(read.bits(), many.bits());
            assert_eq!((read.empty.shape(), &read.text), ((0, 3), &many.text));
        }
    }

    /// Other programs read what stands beside.
    #[test]
    fn what_stands_beside_is_safetensors() {
        let bytes = Many::new(60).to_bytes().unwrap();
        let opened = open(&bytes).unwrap();
        let tensors = SafeTensors::deserialize(opened.beside).unwrap();
        let single = tensors.tensor("single").unwrap();
        assert_eq!((single.dtype(), single.shape()), (safetensors::Dtype::F32, [60, 2].as_slice()));
        assert_eq!(tensors.tensor("lower").unwrap().shape(), [1830]);
        assert!(opened.head.contains("\"list\": {\"tensor\": \"list\"}"), "{}", opened.head);
    }

    #[test]
    fn a_name_is_put_once() {
        struct Twice;
        impl Save for Twice {
            const NAME: &'static str = "twice";
            fn write(&self, to: &mut Writer) -> Result<()> {
                to.put("type", &1.0)
            }
        }
        assert!(Twice.to_bytes().unwrap_err().to_string().contains("is taken already"));
    }

    #[test]
    fn values_of_another_kind_say_where_they_are() {
        fn told<V: FromValue>(text: &str) -> String {
            let json: serde_json::Value = serde_json::from_str(text).unwrap();
            let place = Place::root(&json, None);
            V::from_place(&place.child("content", &json)).map(drop).unwrap_err().to_string()
        }
        assert_eq!(told::<f64>("true"), "the saved model at `content`, it has true, but a number was expected");
        assert!(told::<usize>("-1").contains("a whole number"));
        assert!(told::<Mat<f64>>("[[1.0, 2.0], [3.0]]").contains("as many numbers each"));
        assert!(told::<Mat<f64>>("{\"shape\": [0, 18446744073709551615]}").contains("rows of numbers"));
        assert!(told::<Mat<f64>>("{\"shape\": [3, 18446744073709551615]}").contains("numbers"));
        assert!(told::<Mat<f64>>("{\"tensor\": \"none\"}").contains("is not in the file"));
        assert!(told::<Mat<f32>>("[[0.1]]").contains("another precision"));
        assert!(told::<Lower<Mat<f64>>>("[1.0, 2.0]").contains("a lower triangle"));
        assert!(told::<Vec<bool>>("[true, 1]").contains("`content[1]`"));
        assert!(0.5f64.node().is_ok());
    }
}
