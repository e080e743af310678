//! Numbers of Polish registers, bank accounts and post codes: types that cannot hold one whose check digit is wrong.
//!
//! All are read with spaces, hyphens and the usual prefixes, and kept as bare digits.

/// Defines a number: its name, what it is, and the function that reads its digits.
macro_rules! number {
    ($(#[$meta:meta])* $name:ident, $read:ident) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        pub struct $name(String);

        impl $name {
            /// Reads one, or says what is wrong with it.
            pub fn parse(text: &str) -> Result<Self, String> {
                $read(text).map(Self)
            }

            /// The digits alone.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
    };
}

number!(
    /// NIP, the Polish tax number: ten digits.
    Nip,
    nip
);
number!(
    /// REGON, the number in the register of businesses: nine digits, or fourteen for a local unit.
    Regon,
    regon
);
number!(
    /// KRS, the number in the court register: ten digits, zeros in front, without a check digit.
    Krs,
    krs
);
number!(
    /// PESEL, the number of a person: eleven digits that begin with the day of birth.
    Pesel,
    pesel
);
number!(
    /// IBAN, the international number of a bank account; 26 digits alone are taken as a Polish one.
    Iban,
    iban
);
number!(
    /// A Polish post code, such as 30-015. The one that is kept with its hyphen.
    PostalCode,
    postal_code
);

/// The letters and digits of a number as people write it, in capitals.
fn bare(text: &str) -> String {
    text.chars()
        .filter(|letter| !letter.is_whitespace() && !matches!(letter, '-' | '.'))
        .map(|letter| letter.to_ascii_uppercase())
        .collect()
}

/// The digits of a number of this many, or why there are not.
fn digits(name: &str, text: &str, lengths: &[usize]) -> Result<Vec<u32>, String> {
    let found: Option<Vec<u32>> = text.chars().map(|letter| letter.to_digit(10)).collect();
    let found = found.ok_or_else(|| format!("is no {name}: it has only digits"))?;
    if lengths.contains(&found.len()) {
        return Ok(found);
    }
    let wanted: Vec<String> = lengths.iter().map(usize::to_string).collect();
    Err(format!("is no {name}: it has {} digits, not {}", wanted.join(" or "), found.len()))
}

/// The sum of digits times weights.
fn weighted(digits: &[u32], weights: &[u32]) -> u32 {
    digits.iter().zip(weights).fold(0, |sum, (digit, weight)| sum.saturating_add(digit.saturating_mul(*weight)))
}

fn wrong_check(name: &str) -> String {
    format!("is no {name}: its check digit does not fit, so one of the digits is wrong")
}

fn nip(text: &str) -> Result<String, String> {
    let text = bare(text);
    let text = text.strip_prefix("PL").unwrap_or(&text).to_owned();
    let digits = digits("NIP", &text, &[10])?;
    let check = weighted(&digits, &[6, 5, 7, 2, 3, 4, 5, 6, 7]) % 11;
    if digits.last() != Some(&check) { Err(wrong_check("NIP")) } else { Ok(text) }
}

fn regon(text: &str) -> Result<String, String> {
    let text = bare(text);
    let digits = digits("REGON", &text, &[9, 14])?;
    let fits = |weights: &[u32]| {
        let check = weighted(&digits, weights) % 11 % 10;
        digits.get(weights.len()) == Some(&check)
    };
    let whole = fits(&[8, 9, 2, 3, 4, 5, 6, 7]);
    let local = digits.len() == 9 || fits(&[2, 4, 8, 5, 0, 9, 7, 3, 6, 1, 2, 4, 8]);
    if whole && local { Ok(text) } else { Err(wrong_check("REGON")) }
}

fn krs(text: &str) -> Result<String, String> {
    let text = bare(text);
    digits("KRS", &text, &[10])?;
    if text.bytes().all(|digit| digit == b'0') { Err("is no KRS: it is not all zeros".into()) } else { Ok(text) }
}

fn pesel(text: &str) -> Result<String, String> {
    let text = bare(text);
    let digits = digits("PESEL", &text, &[11])?;
    let check = 10_u32.saturating_sub(weighted(&digits, &[1, 3, 7, 9, 1, 3, 7, 9, 1, 3]) % 10) % 10;
    if digits.last() != Some(&check) {
        return Err(wrong_check("PESEL"));
    }
    // The month tells the century too: 81 to 92 are the 1800s, 01 to 12 the 1900s, 21 to 32 the 2000s, and so on.
    let two = |from: usize| {
        digits.iter().skip(from).take(2).fold(0, |sum: u32, digit| sum.saturating_mul(10).saturating_add(*digit))
    };
    let (year, month, day) = (two(0), two(2), two(4));
    let century = match month / 20 {
        4 => 1800,
        century => 1900_u32.saturating_add(century.saturating_mul(100)),
    };
    let born = format!("{:04}-{:02}-{day:02}", century.saturating_add(year), month % 20);
    match crate::time::Date::parse(&born) {
        Ok(_) => Ok(text),
        Err(_) => Err("is no PESEL: it does not begin with a day of birth".into()),
    }
}

/// How long the numbers of some countries are; others are taken by their check digits alone.
const IBAN_LENGTHS: &[(&str, usize)] = &[
    ("AT", 20),
    ("BE", 16),
    ("CH", 21),
    ("CZ", 24),
    ("DE", 22),
    ("DK", 18),
    ("ES", 24),
    ("FR", 27),
    ("GB", 22),
    ("HU", 28),
    ("IE", 22),
    ("IT", 27),
    ("LT", 20),
    ("LV", 21),
    ("NL", 18),
    ("NO", 15),
    ("PL", 28),
    ("PT", 25),
    ("RO", 24),
    ("SE", 24),
    ("SK", 24),
    ("UA", 29),
];

fn iban(text: &str) -> Result<String, String> {
    let mut text = bare(text);
    if text.len() == 26 && text.bytes().all(|digit| digit.is_ascii_digit()) {
        text.insert_str(0, "PL");
    }
    let country = text.get(..2).filter(|country| country.bytes().all(|letter| letter.is_ascii_uppercase()));
    let Some(country) = country.filter(|_| text.bytes().all(|letter| letter.is_ascii_alphanumeric())) else {
        return Err(
            "is no bank account: write an IBAN, such as PL61 1090 1014 0000 0712 1981 2874, or 26 digits".into()
        );
    };
    let known = IBAN_LENGTHS.iter().find(|(known, _)| *known == country).map(|(_, length)| *length);
    if known.is_some_and(|length| length != text.len()) || !(15..=34).contains(&text.len()) {
        let wanted = known.map_or("15 to 34".to_owned(), |length| length.to_string());
        return Err(format!("is no IBAN: one of {country} has {wanted} letters and digits, not {}", text.len()));
    }
    // ISO 7064: the first four go to the end, letters count from 10, and the rest of 97 is 1.
    let (head, tail) = text.split_at_checked(4).unwrap_or((&text, ""));
    let mut rest: u32 = 0;
    for letter in tail.chars().chain(head.chars()) {
        let value = letter.to_digit(36).unwrap_or_default();
        let shift = if value > 9 { 100 } else { 10 };
        rest = rest.saturating_mul(shift).saturating_add(value) % 97;
    }
    if rest == 1 {
        Ok(text)
    } else {
        Err("is no IBAN: its check digits do not fit, so one of the digits is wrong".into())
    }
}

fn postal_code(text: &str) -> Result<String, String> {
    let text = bare(text);
    digits("Polish post code", &text, &[5]).map_err(|_| "is no Polish post code: write it like 30-015".to_owned())?;
    let (district, rest) = text.split_at_checked(2).unwrap_or((&text, ""));
    Ok(format!("{district}-{rest}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_as_people_write_them() {
        assert_eq!(
            Nip::parse("PL 677-245-88-11").unwrap_err(),
            "is no NIP: its check digit does not fit, so one of the digits is wrong"
        );
        assert_eq!(Nip::parse(" pl 526-025-09-95 ").unwrap().as_str(), "5260250995");
        assert_eq!(Nip::parse("12345").unwrap_err(), "is no NIP: it has 10 digits, not 5");
        assert_eq!(Nip::parse("52602509x5").unwrap_err(), "is no NIP: it has only digits");
        assert_eq!(Regon::parse("123 456 785").unwrap().as_str(), "123456785");
        assert_eq!(Regon::parse("12345678512347").unwrap().as_str(), "12345678512347");
        assert_eq!(Regon::parse("1234567851").unwrap_err(), "is no REGON: it has 9 or 14 digits, not 10");
        assert_eq!(Krs::parse("0000028860").unwrap().as_str(), "0000028860");
        assert!(Krs::parse("0000000000").is_err());
        assert_eq!(Pesel::parse("44051401359").unwrap().as_str(), "44051401359");
        assert_eq!(Pesel::parse("02070803628").unwrap().as_str(), "02070803628");
        assert_eq!(Iban::parse("61 1090 1014 0000 0712 1981 2874").unwrap().as_str(), "PL61109010140000071219812874");
        assert_eq!(Iban::parse("GB82 WEST 1234 5698 7654 32").unwrap().as_str(), "GB82WEST12345698765432");
        assert_eq!(
            Iban::parse("GB82 WEST 1234 5698 7654").unwrap_err(),
            "is no IBAN: one of GB has 22 letters and digits, not 20"
        );
        assert_eq!(PostalCode::parse("30 015").unwrap().as_str(), "30-015");
        assert_eq!(PostalCode::parse("3001").unwrap_err(), "is no Polish post code: write it like 30-015");
    }

    /// A generator with a fixed seed.
    fn dice(state: &mut u64) -> u32 {
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        u32::try_from(*state % 10).unwrap()
    }

    /// Every single wrong digit is noticed.
    fn notices_single_errors(number: &str, parse: fn(&str) -> bool) {
        assert!(parse(number), "{number}");
        for (place, digit) in number.char_indices().filter(|(_, letter)| letter.is_ascii_digit()) {
            for other in ('0'..='9').filter(|other| *other != digit) {
                let mut changed = number.to_owned();
                changed.replace_range(place..=place, &other.to_string());
                assert!(!parse(&changed), "{changed} passes for {number}");
            }
        }
    }

    #[test]
    fn every_single_wrong_digit_of_a_nip_pesel_or_iban_is_noticed() {
        let mut state = 20_261_201;
        let (mut nips, mut pesels, mut ibans) = (0, 0, 0);
        while nips < 200 || pesels < 200 || ibans < 50 {
            let nine: Vec<u32> = (0..9).map(|_| dice(&mut state)).collect();
            let check = weighted(&nine, &[6, 5, 7, 2, 3, 4, 5, 6, 7]) % 11;
            let text: String = nine.iter().map(u32::to_string).collect();
            // Numbers whose check would be ten are never given out.
            if check < 10 {
                notices_single_errors(&format!("{text}{check}"), |text| Nip::parse(text).is_ok());
                nips += 1;
            }
            let day = format!(
                "{:02}{:02}{:02}{:04}",
                dice(&mut state) * 9,
                dice(&mut state) % 9 + 1,
                dice(&mut state) + 1,
                state % 10_000
            );
            let ten: Vec<u32> = day.chars().map(|digit| digit.to_digit(10).unwrap()).collect();
            let check = (10 - weighted(&ten, &[1, 3, 7, 9, 1, 3, 7, 9, 1, 3]) % 10) % 10;
            notices_single_errors(&format!("{day}{check}"), |text| Pesel::parse(text).is_ok());
            pesels += 1;
            let account: String = (0..24).map(|_| dice(&mut state).to_string()).collect();
            let rest = format!("{account}252100")
                .bytes()
                .fold(0_u32, |rest, digit| (rest * 10 + u32::from(digit - b'0')) % 97);
            notices_single_errors(&format!("PL{:02}{account}", 98 - rest), |text| Iban::parse(text).is_ok());
            ibans += 1;
        }
    }

    #[test]
    fn nothing_that_is_given_makes_them_panic() {
        for text in ["", " ", "-", "PL", "ąęć", "٣٣٣٣٣٣٣٣٣٣", "PL61 1090 1014 0000 0712 1981 287ł", &"9".repeat(5000)]
        {
            assert!(Nip::parse(text).is_err() && Regon::parse(text).is_err() && Krs::parse(text).is_err(), "{text}");
            assert!(
                Pesel::parse(text).is_err() && Iban::parse(text).is_err() && PostalCode::parse(text).is_err(),
                "{text}"
            );
        }
    }
}
