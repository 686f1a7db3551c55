//! What a file of a scan says about the scan itself: the verdict, the options, the counts.
//!
//! Parquet has a place for it, its key-value metadata: each field is a key `pwalk.…`. The classic CSV has none,
//! and not one byte may be added to it; but the compressed forms have room outside the text that all readers
//! skip (see `trailer`). Plain CSV carries nothing: there the exit code and the ledger tell. A side file was
//! rejected: it is forgotten when the CSV is moved, and then the next scan's is taken for it.

mod time;
mod trailer;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use parquet::file::metadata::FileMetaData;
use parquet::file::reader::{FileReader, SerializedFileReader};
use pwalk_fs::Time;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use crate::{Error, Verdict};

pub(crate) use trailer::{gzip_trailer, zstd_trailer};

/// Prefix of the keys in Parquet.
const KEY: &str = "pwalk.";

/// What a scan says about itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Metadata {
    /// Program and version that wrote the file: `pwalk 0.1.0`.
    pub program: String,
    /// The roots, as they were given.
    pub roots: Vec<Root>,
    /// The options that shaped the content, by their long names.
    pub options: BTreeMap<String, Value>,
    /// When the scan began. Written as RFC 3339 in UTC with nanoseconds.
    #[serde(with = "time")]
    pub start: Time,
    /// When it ended.
    #[serde(with = "time")]
    pub end: Time,
    /// Entries, directories, bytes, errors by class ….
    pub counts: BTreeMap<String, u64>,
    /// Whether the scan saw everything.
    pub verdict: Verdict,
}

/// A root's path. In JSON it is a string, or `{"base64": "…"}` where the bytes are not UTF-8.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Root(pub Vec<u8>);

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum RootForm {
    Text(String),
    Bytes { base64: String },
}

impl Serialize for Root {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match std::str::from_utf8(&self.0) {
            Ok(text) => s.serialize_str(text),
            Err(_) => RootForm::Bytes { base64: BASE64.encode(&self.0) }.serialize(s),
        }
    }
}

impl<'de> Deserialize<'de> for Root {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Ok(Self(match RootForm::deserialize(d)? {
            RootForm::Text(text) => text.into_bytes(),
            RootForm::Bytes { base64 } => BASE64.decode(base64).map_err(serde::de::Error::custom)?,
        }))
    }
}

impl Metadata {
    pub(crate) fn to_json(&self) -> Result<Vec<u8>, serde_json::Error> {
        serde_json::to_vec(self)
    }

    /// As keys and values: text stays text, anything else is JSON.
    pub(crate) fn to_pairs(&self) -> Result<Vec<(String, String)>, serde_json::Error> {
        let Value::Object(fields) = serde_json::to_value(self)? else { return Ok(Vec::new()) };
        let text = |value| if let Value::String(text) = value { text } else { value.to_string() };
        Ok(fields.into_iter().map(|(key, value)| (format!("{KEY}{key}"), text(value))).collect())
    }

    fn from_pairs<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Result<Option<Self>, serde_json::Error> {
        let mut fields = serde_json::Map::new();
        for (key, text) in pairs {
            let Some(key) = key.strip_prefix(KEY) else { continue };
            let is_json = text.starts_with(['[', '{']);
            let value = if is_json { serde_json::from_str(text)? } else { Value::String(text.to_owned()) };
            fields.insert(key.to_owned(), value);
        }
        if fields.is_empty() { Ok(None) } else { serde_json::from_value(Value::Object(fields)).map(Some) }
    }
}

/// Reads back what a file of a scan says about itself: from Parquet, or from CSV compressed with zstd or gzip.
/// `None` if it says nothing, as plain CSV and the files of other programs do.
///
/// # Errors
/// When the file cannot be read, or claims to be Parquet and is not.
pub fn read_metadata(path: &Path) -> Result<Option<Metadata>, Error> {
    let failed = |e| Error::io("read", path, e);
    let mut file = File::open(path).map_err(failed)?;
    let mut magic = Vec::with_capacity(4);
    (&mut file).take(4).read_to_end(&mut magic).map_err(failed)?;
    if &*magic == b"PAR1" {
        let reader = SerializedFileReader::new(file).map_err(|e| Error::parquet("read", path, e))?;
        return metadata_of(reader.metadata().file_metadata(), path);
    }
    let length = file.seek(SeekFrom::End(0)).map_err(failed)?;
    let json = trailer::read(&mut file, length, &magic).map_err(failed)?;
    let metadata = json.map(|json| serde_json::from_slice(&json)).transpose();
    metadata.map_err(|e| Error::json("understand the metadata of", path, e))
}

/// What the footer of a Parquet file says of the scan.
pub(crate) fn metadata_of(footer: &FileMetaData, path: &Path) -> Result<Option<Metadata>, Error> {
    let pairs = footer.key_value_metadata().into_iter().flatten();
    Metadata::from_pairs(pairs.filter_map(|kv| Some((kv.key.as_str(), kv.value.as_deref()?))))
        .map_err(|e| Error::json("understand the metadata of", path, e))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Something of everything.
    pub(crate) fn example() -> Metadata {
        Metadata {
            program: "pwalk 0.1.0".into(),
            roots: vec![Root(b"/data/gr\xc3\xbcn".to_vec()), Root(b"/bad\xff".to_vec())],
            options: [("depth".into(), Value::Null), ("one-file-system".into(), Value::Bool(true))].into(),
            start: Time { sec: 1_790_000_000, nsec: 5 },
            end: Time { sec: 1_790_000_001, nsec: 999_999_999 },
            counts: [("entries".into(), u64::MAX)].into(),
            verdict: Verdict::Partial,
        }
    }

    #[test]
    fn survives_its_two_forms() {
        let metadata = example();
        let json = metadata.to_json().unwrap();
        assert_eq!(serde_json::from_slice::<Metadata>(&json).unwrap(), metadata);
        let pairs = metadata.to_pairs().unwrap();
        let verdict = pairs.iter().find(|(k, _)| k == "pwalk.verdict").unwrap();
        assert_eq!(verdict.1, "PARTIAL");
        let back = Metadata::from_pairs(pairs.iter().map(|(k, v)| (k.as_str(), v.as_str()))).unwrap();
        assert_eq!(back, Some(metadata));
        assert_eq!(Metadata::from_pairs([("pandas", "{}")].into_iter()).unwrap(), None);
    }
}
