//! Secrets that have to be read again, such as the key that signs what a webhook is told: stored sealed, by a key that is
//! not in the database. Whoever gets a copy of the database, or of a backup, gets none of them.
//!
//! AES-256-GCM. A sealed secret is bound to its table, row and column: moved elsewhere it does not open.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::error::{Error, Result};
use crate::id::fill_random;

/// Bytes of a key.
const KEY_BYTES: usize = 32;
/// By which of the keys, as stored before each sealed secret.
const ID_BYTES: usize = 8;
/// The present form of a sealed secret.
const FORM: u8 = 1;

/// Where the key is.
#[derive(Clone)]
pub enum KeySource {
    /// In this file: a line for each key, the first one seals. Made at first use when it is not there.
    File(PathBuf),
    /// Given: keys in base64, with spaces or commas between; the first one seals.
    Given(String),
}

/// Without the key.
impl std::fmt::Debug for KeySource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Given(_) => f.write_str("Given"),
        }
    }
}

/// Where a secret is stored.
#[derive(Debug, Clone, Copy)]
pub struct Slot {
    /// The table.
    pub table: &'static str,
    /// The row.
    pub row: Uuid,
    /// The column.
    pub column: &'static str,
}

impl Slot {
    fn bound(&self) -> Vec<u8> {
        format!("{}\0{}\0{}", self.table, self.row, self.column).into_bytes()
    }
}

/// Seals and opens secrets.
#[derive(Debug, Default)]
pub struct Vault {
    source: Mutex<Option<KeySource>>,
    keys: OnceLock<Vec<Key>>,
}

struct Key {
    id: [u8; ID_BYTES],
    key: LessSafeKey,
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Key").finish_non_exhaustive()
    }
}

const NO_KEY: &str = "This needs to keep a secret, and the server has no key to encrypt it with. Let the person who runs it set \
                      BUREAU_SECRET_KEY, or --secret-key-file, to 32 random bytes in base64 (`openssl rand -base64 32`).";

impl Vault {
    /// Says where the key is. Before the first secret is sealed or opened; later it has no effect.
    pub fn configure(&self, source: KeySource) {
        *self.source.lock().unwrap_or_else(PoisonError::into_inner) = Some(source);
    }

    /// A secret in the form in which it may be stored in that place.
    pub fn seal(&self, slot: Slot, secret: &[u8]) -> Result<Vec<u8>> {
        let key = self.keys()?.first().ok_or_else(|| Error::provider_unavailable(NO_KEY))?;
        let mut nonce = [0_u8; NONCE_LEN];
        fill_random(&mut nonce);
        let mut body = secret.to_vec();
        key.key
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(slot.bound()), &mut body)
            .map_err(|_| Error::internal("a secret could not be sealed"))?;
        Ok([&[FORM], key.id.as_slice(), nonce.as_slice(), body.as_slice()].concat())
    }

    /// The secret that is stored in that place.
    pub fn open(&self, slot: Slot, sealed: &[u8]) -> Result<Vec<u8>> {
        let damaged = || Error::internal(format!("the sealed secret of {} {} is damaged", slot.table, slot.row));
        let (form, rest) = sealed.split_first().ok_or_else(damaged)?;
        let (id, rest) = rest.split_at_checked(ID_BYTES).ok_or_else(damaged)?;
        let (nonce, body) = rest.split_at_checked(NONCE_LEN).ok_or_else(damaged)?;
        let nonce: [u8; NONCE_LEN] = nonce.try_into().map_err(|_| damaged())?;
        if *form != FORM {
            return Err(damaged());
        }
        let key = self.keys()?.iter().find(|key| key.id == id).ok_or_else(|| {
            Error::provider_unavailable(
                "A secret was encrypted with another key than this server has. Let the person who runs it add the earlier key to \
                 the key file, on a line of its own below the present one.",
            )
        })?;
        let mut body = body.to_vec();
        let opened = key
            .key
            .open_in_place(Nonce::assume_unique_for_key(nonce), Aad::from(slot.bound()), &mut body)
            .map_err(|_| damaged())?;
        Ok(opened.to_vec())
    }

    fn keys(&self) -> Result<&[Key]> {
        if let Some(keys) = self.keys.get() {
            return Ok(keys);
        }
        let source = self.source.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let text = match source {
            Some(KeySource::Given(text)) => text,
            Some(KeySource::File(path)) => read_or_make(&path).map_err(|error| {
                Error::provider_unavailable(format!(
                    "This needs to keep a secret, and the file with the key to encrypt it cannot be read or made: {error}. Let the \
                     person who runs the server look at {}.",
                    path.display()
                ))
            })?,
            None => return Err(Error::provider_unavailable(NO_KEY)),
        };
        let keys = parsed(&text)?;
        Ok(self.keys.get_or_init(|| keys))
    }
}

fn parsed(text: &str) -> Result<Vec<Key>> {
    let wrong = || {
        Error::provider_unavailable(
            "The key that encrypts stored secrets is not 32 bytes in base64. Let the person who runs the server make one with \
             `openssl rand -base64 32`.",
        )
    };
    let words = text.split([' ', ',', '\n', '\r', '\t']).filter(|word| !word.is_empty());
    let keys: Vec<Key> = words
        .map(|word| {
            let bytes = STANDARD.decode(word).ok().filter(|bytes| bytes.len() == KEY_BYTES).ok_or_else(wrong)?;
            let key = UnboundKey::new(&AES_256_GCM, &bytes).map_err(|_| wrong())?;
            let digest = Sha256::digest([b"bureau key id\0", bytes.as_slice()].concat());
            let id = digest.first_chunk::<ID_BYTES>().copied().ok_or_else(wrong)?;
            Ok(Key { id, key: LessSafeKey::new(key) })
        })
        .collect::<Result<_>>()?;
    if keys.is_empty() { Err(wrong()) } else { Ok(keys) }
}

/// The keys of a file; a new one when there is none. Several processes may make it at once: the first one's counts.
fn read_or_make(path: &Path) -> std::io::Result<String> {
    match fs::read_to_string(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        found => return found,
    }
    let mut bytes = [0_u8; KEY_BYTES];
    fill_random(&mut bytes);
    let mut suffix = [0_u8; 8];
    fill_random(&mut suffix);
    let mut draft = path.as_os_str().to_owned();
    draft.push(format!(".{}", u64::from_ne_bytes(suffix)));
    let draft = PathBuf::from(draft);
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&draft)?;
    file.write_all(format!("{}\n", STANDARD.encode(bytes)).as_bytes())?;
    file.sync_all()?;
    // A link is made whole or not at all, and never over a file that is there.
    let made = fs::hard_link(&draft, path);
    fs::remove_file(&draft)?;
    match made {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
        _ => fs::read_to_string(path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    const TWO: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";

    fn vault(keys: &str) -> Vault {
        let vault = Vault::default();
        vault.configure(KeySource::Given(keys.to_owned()));
        vault
    }

    fn slot(row: u128) -> Slot {
        Slot { table: "webhook_secrets", row: Uuid::from_u128(row), column: "sealed" }
    }

    #[test]
    fn a_secret_opens_in_its_place_only_and_undamaged_only() {
        let vault = vault(ONE);
        let sealed = vault.seal(slot(1), b"hush").unwrap();
        assert_ne!(sealed, vault.seal(slot(1), b"hush").unwrap(), "never twice the same");
        assert!(!sealed.windows(4).any(|part| part == b"hush"));
        assert_eq!(vault.open(slot(1), &sealed).unwrap(), b"hush");
        assert!(vault.open(slot(2), &sealed).is_err());
        assert!(vault.open(Slot { column: "other", ..slot(1) }, &sealed).is_err());
        for index in 0..sealed.len() {
            let mut damaged = sealed.clone();
            damaged[index] ^= 1;
            assert!(vault.open(slot(1), &damaged).is_err(), "byte {index}");
            assert!(vault.open(slot(1), &sealed[..index]).is_err(), "cut at {index}");
        }
    }

    #[test]
    fn a_new_key_seals_while_the_earlier_one_still_opens() {
        let old = vault(ONE).seal(slot(1), b"old").unwrap();
        let both = vault(&format!("{TWO}\n{ONE}\n"));
        assert_eq!(both.open(slot(1), &old).unwrap(), b"old");
        let new = both.seal(slot(1), b"new").unwrap();
        assert_eq!(vault(TWO).open(slot(1), &new).unwrap(), b"new");
        let refused = vault(ONE).open(slot(1), &new).unwrap_err();
        assert_eq!(refused.code(), crate::error::Code::ProviderUnavailable);
    }

    #[test]
    fn without_a_key_nothing_is_kept() {
        assert_eq!(Vault::default().seal(slot(1), b"x").unwrap_err().message(), NO_KEY);
        for wrong in ["", "short", "AAAA"] {
            assert_eq!(vault(wrong).seal(slot(1), b"x").unwrap_err().code(), crate::error::Code::ProviderUnavailable);
        }
    }

    #[cfg(unix)]
    #[test]
    fn the_key_file_is_made_once_and_for_its_owner_only() {
        use std::os::unix::fs::PermissionsExt as _;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret.key");
        let made: Vec<String> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| read_or_make(&path).unwrap())).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(made.iter().all(|text| *text == made[0]) && parsed(&made[0]).is_ok());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
        assert_eq!(format!("{:?}", vault(ONE)).find("AAAA"), None);
    }
}
