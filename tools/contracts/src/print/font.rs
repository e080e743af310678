//! Liberation Sans in a PDF: how wide a text is, where a line breaks, and the letters that a document uses, embedded.

use std::collections::BTreeMap;

use bureau_kit::prelude::*;
use pdf_writer::types::{CidFontType, FontFlags, SystemInfo, UnicodeCmap};
use pdf_writer::{Filter, Finish as _, Name, Pdf, Rect, Ref, Str};
use subsetter::GlyphRemapper;
use ttf_parser::{Face, GlyphId};

/// How text stands out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Weight {
    Regular,
    Bold,
}

/// Stands for a character that the font has no letter for.
const UNKNOWN: char = '?';
/// Text space of a PDF font: a thousandth of the size.
const PDF_UNITS: f32 = 1000.0;

/// A font and the letters of it that a document uses.
pub(crate) struct Typeface {
    name: &'static str,
    data: &'static [u8],
    face: Face<'static>,
    used: GlyphRemapper,
    /// Letters by their place in the embedded font: width, and what they read as when text is copied.
    letters: BTreeMap<u16, (f32, char)>,
}

impl Typeface {
    pub(crate) fn new(weight: Weight) -> Result<Self> {
        let (name, data): (_, &'static [u8]) = match weight {
            Weight::Regular => ("LiberationSans", include_bytes!("../../fonts/LiberationSans-Regular.ttf")),
            Weight::Bold => ("LiberationSans-Bold", include_bytes!("../../fonts/LiberationSans-Bold.ttf")),
        };
        let face = Face::parse(data, 0).map_err(Error::internal)?;
        Ok(Self { name, data, face, used: GlyphRemapper::new(), letters: BTreeMap::new() })
    }

    fn glyph(&self, letter: char) -> Option<GlyphId> {
        self.face.glyph_index(letter).or_else(|| self.face.glyph_index(UNKNOWN))
    }

    /// A length of the font in thousandths of its size.
    fn scaled(&self, units: impl Into<f32>) -> f32 {
        units.into() * PDF_UNITS / f32::from(self.face.units_per_em())
    }

    fn advance(&self, letter: char) -> f32 {
        let glyph = self.glyph(letter).and_then(|glyph| self.face.glyph_hor_advance(glyph));
        glyph.map_or(0.0, |units| self.scaled(units))
    }

    /// How wide a text is in points.
    pub(crate) fn width(&self, text: &str, size: f32) -> f32 {
        text.chars().map(|letter| self.advance(letter)).sum::<f32>() * size / PDF_UNITS
    }

    /// A text in lines that are no wider than `width`. Words too long for a line are broken; no-break spaces hold.
    pub(crate) fn lines(&self, text: &str, size: f32, width: f32) -> Vec<String> {
        let mut lines = Vec::new();
        for paragraph in text.split('\n') {
            let mut line = String::new();
            for word in paragraph.split([' ', '\t', '\r']).filter(|word| !word.is_empty()) {
                let joined = if line.is_empty() { word.to_owned() } else { format!("{line} {word}") };
                if self.width(&joined, size) <= width {
                    line = joined;
                    continue;
                }
                if !line.is_empty() {
                    lines.push(std::mem::take(&mut line));
                }
                for letter in word.chars() {
                    line.push(letter);
                    if self.width(&line, size) > width && line.chars().count() > 1 {
                        line.pop();
                        lines.push(std::mem::replace(&mut line, letter.to_string()));
                    }
                }
            }
            lines.push(line);
        }
        lines
    }

    /// A text as the PDF names it: two bytes a letter, its place in the embedded font.
    pub(crate) fn encoded(&mut self, text: &str) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(text.len().saturating_mul(2));
        for letter in text.chars().filter(|letter| !letter.is_control()) {
            let Some(glyph) = self.glyph(letter) else { continue };
            let place = self.used.remap(glyph.0);
            let width = self.advance(letter);
            self.letters.entry(place).or_insert((width, letter));
            bytes.extend_from_slice(&place.to_be_bytes());
        }
        bytes
    }

    /// Writes the font with the letters that were used. Takes five references, from `first` on.
    pub(crate) fn embed(&self, pdf: &mut Pdf, font: Ref, mut next: impl FnMut() -> Ref) -> Result<()> {
        let (cid, descriptor, cmap, file) = (next(), next(), next(), next());
        // Six letters and a plus mark a font of which only a part is there.
        let name = format!("BUREAU+{}", self.name);
        let name = Name(name.as_bytes());
        let system = SystemInfo { registry: Str(b"Adobe"), ordering: Str(b"Identity"), supplement: 0 };
        pdf.type0_font(font)
            .base_font(name)
            .encoding_predefined(Name(b"Identity-H"))
            .descendant_font(cid)
            .to_unicode(cmap);
        let mut writer = pdf.cid_font(cid);
        writer.subtype(CidFontType::Type2).base_font(name).system_info(system).font_descriptor(descriptor);
        writer.default_width(0.0).cid_to_gid_map_predefined(Name(b"Identity"));
        let mut widths = writer.widths();
        for (place, (width, _)) in &self.letters {
            widths.consecutive(*place, [*width]);
        }
        widths.finish();
        writer.finish();
        let bounds = self.face.global_bounding_box();
        pdf.font_descriptor(descriptor)
            .name(name)
            .flags(FontFlags::NON_SYMBOLIC)
            .bbox(Rect::new(
                self.scaled(bounds.x_min),
                self.scaled(bounds.y_min),
                self.scaled(bounds.x_max),
                self.scaled(bounds.y_max),
            ))
            .italic_angle(0.0)
            .ascent(self.scaled(self.face.ascender()))
            .descent(self.scaled(self.face.descender()))
            .cap_height(self.scaled(self.face.capital_height().unwrap_or_default()))
            .stem_v(80.0)
            .font_file2(file);
        let mut readable = UnicodeCmap::new(Name(b"Custom"), system);
        for (place, (_, letter)) in &self.letters {
            readable.pair(*place, *letter);
        }
        pdf.cmap(cmap, &compressed(&readable.finish())).filter(Filter::FlateDecode);
        let part = subsetter::subset(self.data, 0, &self.used).map_err(Error::internal)?;
        pdf.stream(file, &compressed(&part)).filter(Filter::FlateDecode);
        Ok(())
    }
}

/// A stream as [`Filter::FlateDecode`] reads it.
pub(crate) fn compressed(bytes: &[u8]) -> Vec<u8> {
    miniz_oxide::deflate::compress_to_vec_zlib(bytes, 9)
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLISH: &str = "ąćęłńóśźżĄĆĘŁŃÓŚŹŻ";
    const UKRAINIAN: &str = "абвгґдеєжзиіїйклмнопрстуфхцчшщьюяҐЄІЇЩЮЯ’";
    const SIGNS: &str = "0123456789 .,;:!?%&@#/\\()[]«»„”–—€§№+-×°²³\u{a0}";

    #[test]
    fn both_fonts_have_every_letter_of_polish_and_ukrainian() {
        for weight in [Weight::Regular, Weight::Bold] {
            let typeface = Typeface::new(weight).unwrap();
            for letter in [POLISH, UKRAINIAN, SIGNS].concat().chars() {
                assert!(typeface.face.glyph_index(letter).is_some(), "{weight:?} has no {letter:?}");
                assert!(typeface.advance(letter) > 0.0, "{weight:?} {letter:?}");
            }
        }
    }

    #[test]
    fn lines_fit_and_lose_nothing() {
        let typeface = Typeface::new(Weight::Regular).unwrap();
        let text = "Zażółć gęślą jaźń, a konstantynopolitańczykowianeczkówna\u{a0}niech śpi.\n\nDrugi akapit — 12\u{a0}345,67\u{a0}zł";
        for width in [20.0_f32, 55.0, 120.0, 400.0] {
            let lines = typeface.lines(text, 9.0, width);
            for line in &lines {
                let fits = typeface.width(line, 9.0) <= width || line.chars().count() == 1;
                assert!(fits, "{line:?} is wider than {width}");
            }
            let letters = |text: &str| text.chars().filter(|letter| !matches!(letter, ' ' | '\n')).collect::<String>();
            assert_eq!(letters(&lines.concat()), letters(text));
        }
        assert_eq!(typeface.lines("dwa słowa", 9.0, 400.0), ["dwa słowa"]);
        assert_eq!(typeface.lines("", 9.0, 400.0), [""]);
    }

    #[test]
    fn unknown_characters_do_not_stop_a_document() {
        let mut typeface = Typeface::new(Weight::Regular).unwrap();
        assert_eq!(typeface.encoded("😀"), typeface.encoded("?"));
        assert!(typeface.encoded("\u{0}\u{7}").is_empty());
    }
}
