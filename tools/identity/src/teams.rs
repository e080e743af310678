//! Teams: whom work is assigned to. One table for Intum's and Open Mercato's teams and Worksection's "company" groups.

use bureau_kit::prelude::*;

pub(crate) fn tools() -> Vec<Tool> {
    vec![
        family::list("team_list", VIEW, &TEAMS)
            .or_right("staff.view")
            .title("List teams")
            .about("List teams, filtered by words, responsible person or activity. team_find is shorter; team_mine_list has your own.")
            .synonyms("groups crews zespoły ekipy drużyny команди бригади"),
        family::show("team_show", VIEW, &TEAMS)
            .or_right("staff.view")
            .title("Show a team")
            .about("Show one team. Its members are user_list with team_id.")
            .synonyms("crew zespół ekipa команда"),
        family::create("team_create", MANAGE, &TEAMS)
            .or_right("staff.manage_team")
            .title("Create a team")
            .about("Add a team. Put people into it with user_update (team_id or team_ids). A new primary team replaces the old one.")
            .synonyms("new crew dodaj zespół ekipę створити команду"),
        family::update("team_update", MANAGE, &TEAMS)
            .or_right("staff.manage_team")
            .title("Change a team")
            .about("Change a team's name, description, colour, responsible person or activity. At most one team of the tenant is primary: setting is_primary takes it from the other.")
            .synonyms("rename deactivate zmień zespół змінити команду"),
        family::delete("team_delete", MANAGE, &TEAMS)
            .or_right("staff.manage_team")
            .title("Delete a team")
            .about("Delete a team and its memberships; the people stay. Refused while tasks or projects are assigned to it: move those, or set active to false instead.")
            .synonyms("remove usuń zespół ekipę видалити команду"),
        Tool::read("team_mine_list", VIEW, mine)
            .or_right("staff.view")
            .title("List my teams")
            .about("List the teams that you are a member of.")
            .synonyms("own your belong member należę moje zespoły мої команди належу"),
        Tool::read("team_find", VIEW, find)
            .or_right("staff.view")
            .title("Find a team")
            .about("Find active teams by a part of the name; answers at most 20 with id and name only.")
            .synonyms("search lookup znajdź zespół знайти команду"),
    ]
}

const VIEW: &str = "organize.teams.view";
const MANAGE: &str = "organize.teams.manage";

/// A team.
#[derive(Debug)]
pub struct Team;
impl Kind for Team {
    const TABLE: &'static Table = &TEAMS;
}

pub(crate) static TEAMS: Table = Table::new(
    "teams",
    "team",
    "A team that work is assigned to.",
    &[
        Column::text("name", "Name of the team.").max(200).required().sort().search(),
        Column::text("description", "What the team does.").max(2000),
        Column::color("color", "Colour in lists."),
        Column::flag("is_client", "Whether it is a team of a client rather than an own one (Worksection)."),
        Column::flag("is_primary", "The tenant's main team; at most one."),
        Column::reference("responsible_id", "users", OnDelete::Clear, "User who answers for the team.").filter(),
        Column::flag("active", "Whether work may be assigned to it.").default("true"),
    ],
)
.rule(rule);

pub(crate) static TEAM_MEMBERS: Table = Table::new(
    "team_members",
    "team_member",
    "A user's place in a team.",
    &[
        Column::reference("team_id", "teams", OnDelete::Cascade, "The team.").required().fixed(),
        Column::reference("user_id", "users", OnDelete::Cascade, "The member.").required().fixed(),
    ],
)
.unnumbered()
.tenant_wide();

/// One primary team a tenant (Intum). Inferred: naming a new one is how the old one stops being it.
fn rule<'a>(ctx: &'a mut Ctx, draft: Draft<'a>) -> BoxFuture<'a, Result<()>> {
    Box::pin(async move {
        if draft.values.get("is_primary") != Some(&Val::Bool(true)) {
            return Ok(());
        }
        let mut sql = ctx.from(&TEAMS);
        sql.push(" AND is_primary");
        for team in ctx.records(&TEAMS, &sql).await? {
            if draft.before.is_none_or(|before| before.id != team.id) {
                ctx.update(&team, Values::new().with("is_primary", false)).await?;
            }
        }
        Ok(())
    })
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct MineInput {}

#[derive(Debug, Serialize, JsonSchema)]
struct TeamRow {
    /// UUID of the team.
    id: String,
    /// Number in the tenant.
    num: Option<i64>,
    /// Name of the team.
    name: String,
}

#[derive(Debug, Serialize, JsonSchema)]
struct TeamRows {
    /// The teams, by name.
    items: Vec<TeamRow>,
}

impl TeamRows {
    fn of(records: &[Record]) -> Self {
        let row =
            |team: &Record| TeamRow { id: team.id.to_string(), num: team.num, name: team.text("name").to_owned() };
        Self { items: records.iter().map(row).collect() }
    }
}

async fn mine(ctx: &mut Ctx, _: MineInput) -> Result<TeamRows> {
    let (tenant, user) = (ctx.tenant_id(), ctx.user_id()?);
    let mut sql = ctx.from(&TEAMS);
    sql.push(" AND id IN (SELECT team_id FROM team_members WHERE tenant_id = ").bind(tenant);
    sql.and_eq("user_id", user).push(") ORDER BY name, id");
    Ok(TeamRows::of(&ctx.records(&TEAMS, &sql).await?))
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct FindInput {
    /// Part of the name, whatever the case and diacritics; all teams when left out.
    q: Option<String>,
}

async fn find(ctx: &mut Ctx, input: FindInput) -> Result<TeamRows> {
    let mut sql = ctx.from(&TEAMS);
    sql.push(" AND active");
    if let Some(words) = input.q.filter(|words| !words.trim().is_empty()) {
        sql.and_contains(&words);
    }
    sql.push(" ORDER BY name, id LIMIT 20");
    Ok(TeamRows::of(&ctx.records(&TEAMS, &sql).await?))
}

/// The team called `name`, whatever the case and outer spaces; the oldest when there are several.
pub(crate) async fn named(ctx: &mut Ctx, name: &str) -> Result<Option<Record>> {
    let mut sql = ctx.from(&TEAMS);
    sql.and_eq("folded", fold(name)).push(" ORDER BY num");
    // Folding drops diacritics, which tell names apart: Łoś and Los are two teams.
    let wanted = name.trim().to_lowercase();
    let found = ctx.records(&TEAMS, &sql).await?;
    Ok(found.into_iter().find(|team| team.text("name").trim().to_lowercase() == wanted))
}
