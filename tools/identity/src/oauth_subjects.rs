//! Which account at the OAuth issuer is which user. The kit stores a link when it first sees an account
//! (`bureau_kit::access`); here links are shown and taken away.

use bureau_kit::prelude::*;

pub(crate) static OAUTH_SUBJECTS: Table = Table::new(
    "oauth_subjects",
    "oauth_subject",
    "An account at the OAuth issuer that acts as a user.",
    &[
        Column::reference("user_id", "users", OnDelete::Cascade, "The user.").required().fixed().filter(),
        Column::text("issuer", "The issuer.").required().fixed(),
        Column::text("subject", "The account, as the issuer names it.").required().fixed().filter(),
    ],
)
.unnumbered()
.tenant_wide()
.seen(crate::reach::of_users)
.deciding_rights();

pub(crate) fn tools() -> Vec<Tool> {
    vec![
        family::list("oauth_subject_list", "auth.users.edit", &OAUTH_SUBJECTS)
            .title("List OAuth accounts of users")
            .about("Accounts at the OAuth issuer, and the user each of them acts as.")
            .synonyms("sso login konto dostawca tożsamości обліковий запис вхід"),
        family::delete("oauth_subject_delete", "auth.users.edit", &OAUTH_SUBJECTS)
            .title("Unlink an OAuth account")
            .about(
                "Forget which user an account at the OAuth issuer acts as, at once. At its next call it is matched by its \
                 verified e-mail address again: to shut someone out, use user_block.",
            )
            .synonyms("sso odłącz konto dostawca tożsamości від'єднати обліковий запис"),
    ]
}
