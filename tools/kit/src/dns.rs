//! Questions to the domain name system, by whoever the server is set up to ask.

use std::fmt::Debug;

use crate::tool::BoxFuture;

/// Somebody who answers questions to the domain name system.
pub trait DnsResolver: Debug + Send + Sync {
    /// The texts (TXT records) that stand at a name, as they are now; none when there is no such name. An error says, in
    /// words for the caller, why nobody answered.
    fn texts<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Vec<String>, String>>;
}
