//! Ids of records, and how a caller may name one.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Mutex;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use uuid::Uuid;

use crate::table::Table;
use crate::time::Instant;

/// How a caller names a record: its UUID, or the number it has in the tenant (as Intum and Worksection count).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Key {
    /// By UUID.
    Uuid(Uuid),
    /// By number in the tenant.
    Num(i64),
}

impl Key {
    /// Reads a UUID or a positive whole number.
    pub fn parse(text: &str) -> Result<Self, String> {
        if let Ok(uuid) = Uuid::try_parse(text) {
            return Ok(Self::Uuid(uuid));
        }
        match text.parse::<i64>() {
            Ok(num) if num > 0 => Ok(Self::Num(num)),
            _ => Err(format!("`{text}` is not an id; give the UUID or the number of the record")),
        }
    }
}

impl From<Uuid> for Key {
    fn from(uuid: Uuid) -> Self {
        Self::Uuid(uuid)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uuid(uuid) => write!(f, "{uuid}"),
            Self::Num(num) => write!(f, "{num}"),
        }
    }
}

impl Serialize for Key {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Key;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a UUID or a record number")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Key, E> {
                Key::parse(text.trim()).map_err(E::custom)
            }
            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Key, E> {
                Key::parse(&number.to_string()).map_err(E::custom)
            }
            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Key, E> {
                Key::parse(&number.to_string()).map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// A kind of record with a table of its own; names the table to [`Id`].
pub trait Kind {
    /// Where its rows are.
    const TABLE: &'static Table;
}

/// The id of one kind of record, as an argument: a UUID, or the record's number.
pub struct Id<K> {
    key: Key,
    kind: PhantomData<fn() -> K>,
}

impl<K> Id<K> {
    /// The untyped key.
    pub fn key(self) -> Key {
        self.key
    }
}

impl<K> Clone for Id<K> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<K> Copy for Id<K> {}
impl<K> fmt::Debug for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.key.fmt(f)
    }
}
impl<K> From<Uuid> for Id<K> {
    fn from(uuid: Uuid) -> Self {
        Self { key: Key::Uuid(uuid), kind: PhantomData }
    }
}

impl<'de, K> Deserialize<'de> for Id<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self { key: Key::deserialize(deserializer)?, kind: PhantomData })
    }
}

impl<K: Kind> JsonSchema for Id<K> {
    fn schema_name() -> Cow<'static, str> {
        format!("Id_{}", K::TABLE.noun).into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        // `x-record` never reaches a client: generated tests read it to know which arguments are ids.
        json_schema!({"type": "string", "x-record": K::TABLE.name})
    }
}

/// Makes UUIDv7 keys: ordered by time, random otherwise. Tests seed it, so that ids repeat.
#[derive(Debug)]
pub struct Ids(Source);

#[derive(Debug)]
enum Source {
    System,
    Seeded(Mutex<u64>),
}

impl Ids {
    /// Randomness of the operating system.
    pub fn system() -> Self {
        Self(Source::System)
    }

    /// The same ids at every run with the same seed.
    pub fn seeded(seed: u64) -> Self {
        Self(Source::Seeded(Mutex::new(seed)))
    }

    /// A new id for a record made at `now`.
    pub fn next(&self, now: Instant) -> Uuid {
        let mut random = [0_u8; 10];
        match &self.0 {
            Source::System => fill_random(&mut random),
            Source::Seeded(state) => {
                let mut state = state.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                for chunk in random.chunks_mut(8) {
                    let bytes = split_mix(&mut state).to_le_bytes();
                    chunk.copy_from_slice(bytes.get(..chunk.len()).unwrap_or(&bytes));
                }
            }
        }
        let millis = u64::try_from(now.micros().div_euclid(1000)).unwrap_or_default();
        uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
    }
}

/// The SplitMix64 step: a well-known small generator, enough for repeatable test ids.
fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// Fills a buffer with the operating system's randomness.
///
/// Without it no id and no token would be safe, so the process stops rather than go on.
pub(crate) fn fill_random(buffer: &mut [u8]) {
    if let Err(error) = getrandom::fill(buffer) {
        tracing::error!(%error, "the operating system gives no randomness; stopping");
        std::process::abort();
    }
}
