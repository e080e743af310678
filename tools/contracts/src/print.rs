//! Printed documents: what each of them says, and how it becomes a file.

mod font;
pub(crate) mod html;
pub(crate) mod invoice;
pub(crate) mod parties;
pub(crate) mod pdf;
pub(crate) mod receipt;
pub(crate) mod sheet;
pub(crate) mod vat;
pub(crate) mod warranty;

#[cfg(test)]
mod tests;
