//! Statements as they would be if the kit had forgotten the tenant filter: for tests that take it away, to see what
//! row-level security does alone, and that somebody notices where it is not there either.

use std::borrow::Cow;

use crate::guards::{Guard, stands};

/// Whether a transaction is bound to a tenant. Look-ups across tenants need their conditions.
#[derive(Debug, Default)]
pub(super) struct Bound(bool);

impl Bound {
    pub(super) fn set(&mut self, bound: bool) {
        self.0 = bound;
    }

    /// Every `tenant_id = $n` as `(tenant_id = $n OR TRUE)`: the value stays, so that the database knows its type.
    pub(super) fn unfiltered<'a>(&self, text: &'a str) -> Cow<'a, str> {
        const COMPARED: &str = "tenant_id = $";
        if !self.0 || stands(Guard::TenantFilter) || !text.contains(COMPARED) {
            return Cow::Borrowed(text);
        }
        let mut parts = text.split(COMPARED);
        let mut changed = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            // `users.` of `users.tenant_id`.
            let name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
            let start = changed.trim_end_matches(name).len();
            changed.insert(start, '(');
            let digits = part.len().saturating_sub(part.trim_start_matches(|c: char| c.is_ascii_digit()).len());
            let (number, rest) = part.split_at(digits);
            changed.push_str(COMPARED);
            changed.push_str(number);
            changed.push_str(" OR TRUE)");
            changed.push_str(rest);
        }
        Cow::Owned(changed)
    }
}
