//! Takes every guard away in turn and demands that some test notices. Built with the feature `mutation` only.
//!
//! Each mutant is this same program, started with `BUREAU_WITHOUT` and the tests that are to notice.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::sync::Mutex;
use std::time::Instant;

use bureau_kit::guards::Guard;

const MATRIX: &str = "permissions::every_tool_is_open_to_exactly_those_who_hold_its_right";
const ENDED: &str = "permissions::nobody_and_tokens_that_have_ended_get_nothing";
const NO_WRITES: &str = "permissions::a_token_that_may_not_write_writes_nothing";
const TENANTS: &str = "isolation::another_companys_records_do_not_exist";
const ORGANIZATIONS: &str = "isolation::another_organizations_records_do_not_exist_for_who_is_limited";
const POLICIES: &str = "isolation::row_level_security_hides_every_table_of_another_company";
const WRITES: &str = "generated::every_write_can_be_tried_repeated_undone_and_redone";
const NARROW: &str = "identity::a_session_is_never_wider_than_what_it_is_minted_from";
const OF_ONE: &str = "identity::a_session_of_one_organization_and_read_only_stays_so";
const REVOKED: &str = "identity::revoking_ends_everything_below";
const PROTECTED: &str = "identity::owners_and_the_caller_are_protected";
const LOG: &str = "identity::the_log_shows_what_was_done_and_takes_it_back";
const BEYOND: &str = "limits::who_is_limited_to_organizations_gives_nothing_beyond_them";
const UNDO: &str = "limits::undo_takes_the_right_of_the_tool_and_for_others_work_a_right_of_its_own";
const KEYS: &str = "limits::an_idempotency_key_is_its_callers_own_and_of_one_input";
const SUPER: &str = "limits::what_reaches_beyond_a_tenant_is_held_by_super_administrators_only";

/// The test that is to notice that a guard is gone. Every guard has one, or this does not compile.
fn noticed_by(guard: Guard) -> &'static str {
    match guard {
        Guard::TenantFilter => TENANTS,
        Guard::RowLevelSecurity => POLICIES,
        Guard::OrganizationFilter | Guard::PreviewWithinOrganizations => ORGANIZATIONS,
        Guard::ToolRight
        | Guard::WholeNames
        | Guard::TokenFeatures
        | Guard::TokenToolsets
        | Guard::TokenReadOnly
        | Guard::PersonalGrant
        | Guard::OauthScope
        | Guard::BatchAdmission => MATRIX,
        Guard::InstallationRights | Guard::SuperAdminAbove => SUPER,
        Guard::TokenBudget => NO_WRITES,
        Guard::TokenEnd
        | Guard::SessionRevoked
        | Guard::UserActive
        | Guard::TenantActive
        | Guard::RightsEpoch
        | Guard::Credential => ENDED,
        Guard::RightsEpochRaised => "races::what_is_revoked_is_gone_at_the_next_call",
        Guard::ScopeWithinHeld => "limits::a_session_of_an_organization_sees_only_what_its_holder_still_may",
        Guard::ScopeWithinAncestors => "limits::a_session_stays_within_its_parents_organization_when_the_tree_changes",
        Guard::SessionTokenOwner => "limits::a_session_token_in_the_arguments_is_of_whoever_holds_the_connection",
        Guard::OauthEmail => "oauth::an_account_is_found_by_its_verified_address_once_and_stays_who_it_is",
        Guard::Selection => "permissions::what_is_switched_off_cannot_be_called",
        Guard::ExecutorDanger => "limits::an_executor_carries_out_tools_of_its_own_danger_only",
        Guard::DryRun | Guard::ShownOnce => WRITES,
        Guard::ExpectedVersion => "races::of_changes_to_one_version_one_is_made",
        Guard::IdempotencyActor | Guard::IdempotencyInput => KEYS,
        Guard::JournalSecrets => "tokens::the_journal_keeps_no_secret_column",
        Guard::UndoOfOthers | Guard::UndoToolRight => UNDO,
        Guard::UndoConflict => "contracts::what_a_settlement_rests_on_cannot_be_undone_below_it",
        Guard::NewsWithin => "websocket::changes_are_told_to_those_who_may_read_them_and_to_nobody_else",
        Guard::GiveNoMore => "identity::nobody_gives_or_takes_charge_of_more_than_they_hold",
        Guard::RecordOrganization => "limits::who_is_limited_to_organizations_puts_records_into_no_other",
        Guard::RoleWithinOrganizations | Guard::PersonWithinOrganizations => BEYOND,
        Guard::OrganizationReach | Guard::ChildScope | Guard::KeyOfLimitedSession => OF_ONE,
        Guard::LastOwner | Guard::ProtectedUser => PROTECTED,
        Guard::ChildEnd | Guard::ChildFeatures | Guard::ChildToolsets => NARROW,
        Guard::ChildBudget => "identity::writes_of_a_limited_session_are_divided",
        Guard::RefreshWithinParent => "identity::a_session_is_refreshed_within_its_parents_life",
        Guard::Descendants | Guard::SessionOfOthers | Guard::KeyEnd => REVOKED,
        Guard::LogOfOthers => LOG,
        Guard::LogHidden => "limits::the_log_shows_no_column_that_the_records_own_tools_hide",
        Guard::ExplainOthers => "identity::a_permission_is_explained",
        Guard::LoginAttempts => "login::ten_wrong_passwords_close_the_account_to_guessing_for_a_while",
    }
}

/// What a run of some tests said of each.
struct Run {
    passed: BTreeSet<String>,
    failed: BTreeSet<String>,
    output: String,
}

/// Runs tests of this program without some guards, on SQLite or on the server that is named.
fn run(tests: &BTreeSet<&str>, without: &str, postgres: Option<&str>) -> Run {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "--test-threads=2"]).args(tests).env("BUREAU_WITHOUT", without);
    command.env("RUST_BACKTRACE", "0").env_remove("BUREAU_TEST_POSTGRES");
    command.envs(postgres.map(|url| ("BUREAU_TEST_POSTGRES", url)));
    let output = command.output().unwrap();
    let output = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    let ended = |how: &str| -> BTreeSet<String> {
        let tests = output.lines().filter_map(|line| line.strip_prefix("test ")?.strip_suffix(how));
        tests.map(str::to_owned).collect()
    };
    Run { passed: ended(" ... ok"), failed: ended(" ... FAILED"), output }
}

fn server() -> String {
    std::env::var("BUREAU_TEST_POSTGRES").expect("BUREAU_TEST_POSTGRES names the server for the second wall")
}

/// How the run that is to notice must end.
fn check(guards: &str, tests: &BTreeSet<&str>, postgres: Option<&str>, survives: bool) -> Result<String, String> {
    let run = run(tests, guards, postgres);
    let names: Vec<&str> = tests.iter().copied().collect();
    let place = if postgres.is_some() { "PostgreSQL" } else { "SQLite" };
    let row = format!(
        "| {guards} | {place} | {} | {} |",
        if survives { "nothing shows" } else { "caught" },
        names.join(", ")
    );
    let right = if survives { run.passed.len() == tests.len() } else { run.failed.len() == tests.len() };
    if right { Ok(row) } else { Err(format!("{row}\n{}", run.output)) }
}

#[test]
fn every_guard_is_missed_when_it_is_gone() {
    let (started, server) = (Instant::now(), server());
    let everything: BTreeSet<&str> = Guard::ALL.iter().map(|guard| noticed_by(*guard)).collect();
    let whole = run(&everything, "", None);
    assert_eq!(whole.passed.len(), everything.len(), "with all guards every test passes:\n{}", whole.output);
    let of = |test: &'static str| BTreeSet::from([test]);
    // Guards to be taken away together, the tests, where, and whether nothing must show.
    let mut rounds: Vec<(String, BTreeSet<&str>, bool, bool)> = Guard::ALL
        .iter()
        .map(|guard| (guard.name().to_owned(), of(noticed_by(*guard)), *guard == Guard::RowLevelSecurity, false))
        .collect();
    let (filter, policies) = (Guard::TenantFilter.name(), Guard::RowLevelSecurity.name());
    rounds.extend([
        // Each of the two walls between companies stands alone, and without both the test sees it.
        (filter.to_owned(), of(TENANTS), true, true),
        (policies.to_owned(), of(TENANTS), true, true),
        (format!("{filter},{policies}"), of(TENANTS), true, false),
    ]);
    let (queue, table, wrong) = (Mutex::new(rounds), Mutex::new(BTreeMap::new()), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let Some((guards, tests, on_server, survives)) = queue.lock().unwrap().pop() else { break };
                    match check(&guards, &tests, on_server.then_some(server.as_str()), survives) {
                        Ok(row) => drop(table.lock().unwrap().insert((guards, survives, on_server), row)),
                        Err(why) => wrong.lock().unwrap().push(why),
                    }
                }
            });
        }
    });
    let (table, wrong) = (table.into_inner().unwrap(), wrong.into_inner().unwrap());
    println!("| without | on | | test |\n| --- | --- | --- | --- |");
    table.values().for_each(|row| println!("{row}"));
    println!("{} guards, {} runs as expected, in {} s", Guard::ALL.len(), table.len(), started.elapsed().as_secs());
    assert!(wrong.is_empty(), "{} runs came out otherwise:\n{}", wrong.len(), wrong.join("\n"));
}
