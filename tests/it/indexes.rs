//! Lists find and order their rows by indexes: a list of a million rows answers its first page like one of a thousand.

use bureau_kit::sql::Sql;
use bureau_kit::table::Table;

use crate::support::Tester;

/// How SQLite would carry out a list, in its own words.
async fn plan(t: &Tester, table: &'static Table, filter: Option<&'static str>, order: &str) -> String {
    let filter = filter.map_or(String::new(), |column| format!(" AND {column} = x'00'"));
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

#[tokio::test(flavor = "multi_thread")]
async fn what_contracts_are_listed_by_is_indexed() {
    if std::env::var_os("BUREAU_TEST_POSTGRES").is_some() {
        // The indexes are the same; which one a planner takes for an empty table says nothing there.
        return;
    }
    let t = Tester::new().await;
    let (mut faults, mut checked) = (Vec::new(), 0);
    for table in bureau_contracts::TABLES {
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
    assert!(checked > 50, "only {checked} lists were looked at");
}
