//! Passwords, kept as Argon2id hashes.

use std::sync::OnceLock;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, PasswordHasher as _, PasswordVerifier as _};

use crate::error::{Error, Result};

/// Checks the rule for new passwords (Open Mercato): six characters at least, a digit, a capital and a special one.
pub fn check(password: &str) -> Result<(), String> {
    let has = |test: fn(char) -> bool| password.chars().any(test);
    if password.chars().count() < 6
        || !has(|c| c.is_ascii_digit())
        || !has(char::is_uppercase)
        || !has(|c| !c.is_alphanumeric())
    {
        return Err("needs at least 6 characters, among them a digit, a capital letter and a special character".into());
    }
    if password.chars().count() > 256 {
        return Err("must not be longer than 256 characters".into());
    }
    Ok(())
}

/// The hash to store. Takes some tens of milliseconds on purpose.
pub fn hash(password: &str) -> Result<String> {
    Argon2::default().hash_password(password.as_bytes()).map(|hash| hash.to_string()).map_err(Error::internal)
}

/// Whether a password belongs to a stored hash, in a time that does not tell how near it was.
pub fn verify(password: &str, stored: &str) -> bool {
    PasswordHash::new(stored)
        .is_ok_and(|parsed| Argon2::default().verify_password(password.as_bytes(), &parsed).is_ok())
}

/// Takes as long as [`verify`] does, for an account that does not exist.
pub fn verify_nothing(password: &str) {
    static HASH: OnceLock<Option<String>> = OnceLock::new();
    if let Some(stored) = HASH.get_or_init(|| hash("nobody's password").ok()) {
        std::hint::black_box(verify(password, stored));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_checked_hashed_and_verified() {
        assert!(check("Kuchnia1!").is_ok());
        for weak in ["", "Ab1!", "kuchnia1!", "Kuchnia!!", "Kuchnia11"] {
            assert!(check(weak).is_err(), "{weak} must be refused");
        }
        let stored = hash("Kuchnia1!").unwrap();
        assert!(stored.starts_with("$argon2id$") && verify("Kuchnia1!", &stored));
        assert!(!verify("kuchnia1!", &stored) && !verify("Kuchnia1!", "nonsense"));
    }
}
