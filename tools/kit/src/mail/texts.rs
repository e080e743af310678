//! What mails say, in three languages. `{link}` stands on a line of its own; the other names come from the letter.
//!
//! - invitation: `tenant`, `inviter`
//! - password_reset: `tenant`, `minutes`
//! - onboarding_verification: `tenant`, `minutes`
//! - webhook_disabled: `tenant`, `url`, `reason`

/// A mail before its names are filled in.
#[derive(Debug)]
pub(super) struct Text {
    template: &'static str,
    locale: &'static str,
    subject: &'static str,
    body: &'static str,
}

const TEXTS: &[Text] = &[
    Text {
        template: "invitation",
        locale: "en",
        subject: "{inviter} invites you to {tenant}",
        body: "Hello,\n\n{inviter} invites you to work in {tenant}. Open this address to accept:\n\n{link}\n\n\
               The address is for you alone. If you did not expect this mail, do nothing.",
    },
    Text {
        template: "invitation",
        locale: "pl",
        subject: "{inviter} zaprasza do {tenant}",
        body: "Dzień dobry,\n\n{inviter} zaprasza do pracy w {tenant}. Aby przyjąć zaproszenie, otwórz ten adres:\n\n{link}\n\n\
               Adres jest tylko dla Ciebie. Jeśli to pomyłka, po prostu zignoruj tę wiadomość.",
    },
    Text {
        template: "invitation",
        locale: "uk",
        subject: "{inviter} запрошує до {tenant}",
        body: "Вітаємо!\n\n{inviter} запрошує вас до роботи в {tenant}. Щоб прийняти запрошення, відкрийте цю адресу:\n\n{link}\n\n\
               Адреса лише для вас. Якщо ви не чекали на цей лист, нічого не робіть.",
    },
    Text {
        template: "password_reset",
        locale: "en",
        subject: "A new password for {tenant}",
        body: "Hello,\n\nsomeone asked for a new password for your account in {tenant}. Open this address to choose one; it \
               works for {minutes} minutes:\n\n{link}\n\nIf it was not you, do nothing: your password stays as it is.",
    },
    Text {
        template: "password_reset",
        locale: "pl",
        subject: "Nowe hasło do {tenant}",
        body: "Dzień dobry,\n\nktoś poprosił o nowe hasło do Twojego konta w {tenant}. Aby je ustawić, otwórz ten adres; działa \
               przez {minutes} min:\n\n{link}\n\nJeśli to nie Ty, nic nie rób: hasło się nie zmieni.",
    },
    Text {
        template: "password_reset",
        locale: "uk",
        subject: "Новий пароль до {tenant}",
        body: "Вітаємо!\n\nХтось попросив новий пароль до вашого облікового запису в {tenant}. Щоб його встановити, відкрийте цю \
               адресу; вона діє {minutes} хв:\n\n{link}\n\nЯкщо це були не ви, нічого не робіть: пароль не зміниться.",
    },
    Text {
        template: "onboarding_verification",
        locale: "en",
        subject: "Confirm your address for {tenant}",
        body: "Hello,\n\nsomeone set up {tenant} with this e-mail address. Open this address to confirm it; it works for {minutes} \
               minutes:\n\n{link}\n\nIf it was not you, do nothing: nothing is set up without your confirmation.",
    },
    Text {
        template: "onboarding_verification",
        locale: "pl",
        subject: "Potwierdź adres dla {tenant}",
        body: "Dzień dobry,\n\nktoś zakłada {tenant} na ten adres e-mail. Aby go potwierdzić, otwórz ten adres; działa przez \
               {minutes} min:\n\n{link}\n\nJeśli to nie Ty, nic nie rób: bez potwierdzenia nic nie powstanie.",
    },
    Text {
        template: "onboarding_verification",
        locale: "uk",
        subject: "Підтвердьте адресу для {tenant}",
        body: "Вітаємо!\n\nХтось створює {tenant} на цю адресу електронної пошти. Щоб її підтвердити, відкрийте це посилання; воно \
               діє {minutes} хв:\n\n{link}\n\nЯкщо це були не ви, нічого не робіть: без підтвердження нічого не буде створено.",
    },
    Text {
        template: "webhook_disabled",
        locale: "en",
        subject: "A webhook of {tenant} is switched off",
        body: "Hello,\n\nthe webhook to {url} was switched off: {reason}. What happens from now on is not delivered there. Repair \
               the receiver, then switch it on again with webhook_update and active true; webhook_delivery_list shows what \
               failed.",
    },
    Text {
        template: "webhook_disabled",
        locale: "pl",
        subject: "Webhook w {tenant} jest wyłączony",
        body: "Dzień dobry,\n\nwebhook do {url} został wyłączony: {reason}. Kolejne zdarzenia nie są tam wysyłane. Napraw odbiorcę, \
               a potem włącz go przez webhook_update z active true; webhook_delivery_list pokazuje, co się nie udało.",
    },
    Text {
        template: "webhook_disabled",
        locale: "uk",
        subject: "Вебхук у {tenant} вимкнено",
        body: "Вітаємо!\n\nВебхук до {url} вимкнено: {reason}. Наступні події туди не надсилаються. Полагодьте отримувача, а потім \
               увімкніть його через webhook_update з active true; webhook_delivery_list показує, що не вдалося.",
    },
];

/// The text of a template in a language, such as `pl` or `pl-PL`; in English where there is no other.
pub(super) fn find(template: &str, locale: &str) -> Option<&'static Text> {
    let language = locale.split(['-', '_']).next().unwrap_or_default().to_lowercase();
    let of = |language: &str| TEXTS.iter().find(|text| text.template == template && text.locale == language);
    of(&language).or_else(|| of("en"))
}

impl Text {
    /// Subject, text and HTML.
    pub(super) fn filled(&self, values: &[(&'static str, String)]) -> (String, String, String) {
        // What people typed must not begin a new line, let alone a new header.
        let plain = |value: &str| value.chars().filter(|letter| !letter.is_control()).collect::<String>();
        let fill = |text: &str, shown: &dyn Fn(&str) -> String| {
            values.iter().fold(text.to_owned(), |text, (name, value)| {
                text.replace(&format!("{{{name}}}"), &shown(&plain(value)))
            })
        };
        let link = values.iter().find(|(name, _)| *name == "link").map(|(_, link)| escaped(&plain(link)));
        let mut html = String::from("<!doctype html><html><body>");
        for paragraph in self.body.split("\n\n") {
            html.push_str("<p>");
            match &link {
                Some(link) if paragraph == "{link}" => html.push_str(&format!("<a href=\"{link}\">{link}</a>")),
                _ => html.push_str(&fill(paragraph, &escaped)),
            }
            html.push_str("</p>");
        }
        html.push_str("</body></html>");
        (fill(self.subject, &str::to_owned), fill(self.body, &str::to_owned), html)
    }
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &Text) -> std::collections::BTreeSet<String> {
        let whole = format!("{} {}", text.subject, text.body);
        whole.split('{').skip(1).filter_map(|rest| rest.split_once('}')).map(|(name, _)| name.to_owned()).collect()
    }

    #[test]
    fn every_mail_says_the_same_in_all_three_languages() {
        for template in ["invitation", "password_reset", "onboarding_verification", "webhook_disabled"] {
            let english = find(template, "en").unwrap();
            for locale in ["en", "pl", "uk"] {
                let text = find(template, locale).unwrap();
                assert_eq!((text.locale, names(text)), (locale, names(english)), "{template}");
            }
        }
        assert_eq!(TEXTS.len(), 12);
        assert_eq!(find("invitation", "pl-PL").unwrap().locale, "pl");
        assert_eq!(find("invitation", "xx").unwrap().locale, "en");
        assert!(find("other", "en").is_none());
    }

    #[test]
    fn what_people_typed_stays_text() {
        let values = [
            ("inviter", "Anna\r\nBcc: all@example.com".to_owned()),
            ("tenant", "<b>Meble</b> & \"Żółć\"".to_owned()),
            ("link", "https://bureau.example.com/console#invitation=bui_x".to_owned()),
        ];
        let (subject, text, html) = find("invitation", "en").unwrap().filled(&values);
        assert_eq!(subject, "AnnaBcc: all@example.com invites you to <b>Meble</b> & \"Żółć\"");
        assert!(text.contains("\n\nhttps://bureau.example.com/console#invitation=bui_x\n\n"), "{text}");
        assert!(
            html.contains(
                "<p><a href=\"https://bureau.example.com/console#invitation=bui_x\">https://bureau.example.com/console#invitation=bui_x</a></p>"
            ),
            "{html}"
        );
        assert!(html.contains("&lt;b&gt;Meble&lt;/b&gt; &amp; &quot;Żółć&quot;") && !html.contains("<b>"), "{html}");
    }
}
