//! The one stream of migrations. A landed one is never edited; a new one goes to the end.

use crate::db::Migration;

macro_rules! migration {
    ($number:literal, $name:literal) => {
        Migration { number: $number, name: $name, sql: include_str!(concat!("../../../migrations/", $name, ".sql")) }
    };
}

/// Every migration, in order.
pub const MIGRATIONS: &[Migration] = &[
    migration!(1, "0001_foundation"),
    migration!(2, "0002_people"),
    migration!(3, "0003_contracts"),
    migration!(4, "0004_work"),
    migration!(5, "0005_oauth"),
    migration!(6, "0006_secrets"),
    migration!(7, "0007_tasks"),
    migration!(8, "0008_news"),
    migration!(9, "0009_super_admin"),
    migration!(10, "0010_outbox"),
    migration!(11, "0011_webhooks"),
    migration!(12, "0012_audit"),
    migration!(13, "0013_accounts"),
    migration!(14, "0014_directory"),
    migration!(15, "0015_contract_steps"),
    migration!(16, "0016_finance"),
    migration!(17, "0017_warehouse"),
    migration!(18, "0018_calendar"),
    migration!(19, "0019_measurements"),
    migration!(20, "0020_messages"),
    migration!(21, "0021_web_tokens"),
    migration!(22, "0022_dictionaries"),
    migration!(23, "0023_sales"),
    migration!(24, "0024_parties"),
    migration!(25, "0025_contact_imports"),
    migration!(26, "0026_main_addresses"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_in_the_stream_once() {
        let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../../migrations");
        let mut files: Vec<String> = std::fs::read_dir(directory)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap().trim_end_matches(".sql").to_owned())
            .collect();
        files.sort();
        assert_eq!(files, MIGRATIONS.iter().map(|migration| migration.name).collect::<Vec<_>>());
        assert!(MIGRATIONS.iter().zip(1..).all(|(migration, number)| migration.number == number));
    }
}
