//! Lists find and order their rows by indexes: a list of a million rows answers its first page like one of a thousand.

use bureau_kit::sql::Sql;
use bureau_kit::table::Table;

use crate::support::Tester;

/// How SQLite would carry out a list, in its own words.
async fn plan(t: &Tester, table: &'static Table, filter: Option<&'static str>, order: &str) -> String {
    let filter = filter.map_or(String::new(), |column| format!(" AND {column} = x'00'"));
    plan_where(t, table, &filter, order).await
}

async fn plan_where(t: &Tester, table: &'static Table, filter: &str, order: &str) -> String {
    let text = format!(
        "EXPLAIN QUERY PLAN SELECT * FROM {} WHERE tenant_id = x'00'{filter} ORDER BY {order} LIMIT 50",
        table.name
    );
    let sql = Sql::new(Box::leak(text.into_boxed_str()));
    let rows = t.bureau.as_system(t.tenant_id, None, "plan", |ctx| Box::pin(async move { ctx.rows(&sql).await }));
    let steps: Vec<String> = rows.await.unwrap().iter().map(|row| row.get(3).unwrap()).collect();
    steps.join("; ")
}

/// Where a plan does what an index should have done.
fn fault(plan: &str, column: &str) -> bool {
    !plan.contains("USING INDEX")
        || !plan.contains("(tenant_id=?")
        || plan.contains("USE TEMP B-TREE FOR ORDER BY")
        || (!column.is_empty() && !plan.contains(&format!("AND {column}=?")))
}

/// Whether the plans of this database are looked at.
fn plans_are_told() -> bool {
    // The indexes are the same; which one PostgreSQL's planner takes for an empty table says nothing.
    std::env::var_os("BUREAU_TEST_POSTGRES").is_none()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_contracts_are_listed_by_is_indexed() {
    if plans_are_told() {
        check(bureau_contracts::TABLES.iter().copied(), 50).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_sales_are_listed_by_is_indexed() {
    if plans_are_told() {
        let names = ["deals", "activities", "lead_sources", "contact_imports"];
        check(bureau_crm::TABLES.iter().copied().filter(|table| names.contains(&table.name)), 20).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_people_and_companies_are_listed_by_is_indexed() {
    if !plans_are_told() {
        return;
    }
    let t = Tester::new().await;
    let parties = bureau_crm::TABLES.iter().copied().find(|table| table.name == "parties").unwrap();
    let mut faults = Vec::new();
    for (filter, order, column) in [
        (" AND kind = 'person'", "num DESC", "kind"),
        (" AND kind = 'person' AND status = 'x'", "num DESC", "status"),
        (" AND kind = 'person' AND source = 'x'", "num DESC", "source"),
        (" AND kind = 'person' AND lifecycle_stage = 'x'", "num DESC", "lifecycle_stage"),
        (" AND kind = 'person' AND active = 1", "num DESC", "active"),
        (" AND kind = 'person' AND primary_email_folded = 'x'", "num DESC", "primary_email_folded"),
        (" AND kind = 'person' AND owner_id = x'00'", "num DESC", "owner_id"),
        (" AND kind = 'person' AND company_id = x'00'", "num DESC", "company_id"),
        (" AND is_client = 1", "num DESC", "is_client"),
        (" AND is_contact = 1 AND kind = 'person'", "num DESC", "is_contact"),
        (" AND kind = 'person'", "name_folded ASC, id ASC", "kind"),
        (" AND kind = 'person'", "created_at DESC, id DESC", "kind"),
        (" AND kind = 'person'", "updated_at DESC, id DESC", "kind"),
        ("", "num DESC", ""),
        (" AND next_interaction_at >= 0", "next_interaction_at ASC, id ASC", ""),
    ] {
        let plan = plan_where(&t, parties, filter, order).await;
        if fault(&plan, column) {
            faults.push(format!("parties{filter} in order of {order}: {plan}"));
        }
    }
    // What duplicates, callers and other systems are found by.
    for (filter, column) in [
        (" AND nip = 'x'", "nip"),
        (" AND pesel = 'x'", "pesel"),
        (" AND name_key = 'x'", "name_key"),
        (" AND phone_key = 'x'", "phone_key"),
        (" AND app_code = '' AND external_id = 'x'", "app_code"),
    ] {
        let plan = plan_where(&t, parties, filter, "tenant_id").await;
        if fault(&plan, column) {
            faults.push(format!("parties{filter}: {plan}"));
        }
    }
    let range = plan_where(&t, parties, " AND phone_reversed >= '1' AND phone_reversed < '2'", "tenant_id").await;
    assert!(range.contains("parties_by_phone (tenant_id=? AND phone_reversed>? AND phone_reversed<?)"), "{range}");
    assert!(faults.is_empty(), "{} lists:\n{}", faults.len(), faults.join("\n"));
}

async fn check(tables: impl Iterator<Item = &'static Table>, least: usize) {
    let t = Tester::new().await;
    let (mut faults, mut checked) = (Vec::new(), 0);
    for table in tables {
        let newest = "num DESC";
        let filters = table.columns.iter().filter(|column| column.filter && !column.hidden);
        for column in filters {
            let plan = plan(&t, table, Some(column.name), newest).await;
            if fault(&plan, column.name) {
                faults.push(format!("{} by {}: {plan}", table.name, column.name));
            }
            checked += 1;
        }
        for column in table.columns.iter().filter(|column| column.sort && !column.hidden) {
            for direction in ["ASC", "DESC"] {
                let nulls = if column.nullable() { " NULLS LAST" } else { "" };
                let order = format!("{} {direction}{nulls}, id {direction}", column.name);
                let plan = plan(&t, table, None, &order).await;
                if fault(&plan, "") {
                    faults.push(format!("{} in order of {}: {plan}", table.name, column.name));
                }
                checked += 1;
            }
        }
    }
    assert!(faults.is_empty(), "{} of {checked} lists:\n{}", faults.len(), faults.join("\n"));
    assert!(checked > least, "only {checked} lists were looked at");
}
