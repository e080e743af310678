//! A document as PDF on A4: parts one below the other, over as many pages as they need.

use bureau_kit::prelude::*;
use pdf_writer::{Content, Filter, Finish as _, Name, Pdf, Rect, Ref, Str, TextStr};

use super::font::{Typeface, Weight, compressed};
use super::sheet::{Fact, Grid, Sheet, Side, Text};

/// Everything in points, from the lower left corner.
const PAGE: (f32, f32) = (595.0, 842.0);
const MARGIN: f32 = 48.0;
const WIDTH: f32 = PAGE.0 - 2.0 * MARGIN;
const TOP: f32 = PAGE.1 - MARGIN;
const BOTTOM: f32 = 62.0;
/// Baseline to baseline, in sizes.
const LEADING: f32 = 1.32;

/// Red, green, blue.
type Colour = [f32; 3];
const INK: Colour = [0.11, 0.14, 0.19];
const ACCENT: Colour = [0.12, 0.23, 0.37];
const QUIET: Colour = [0.40, 0.44, 0.52];
const LINE: Colour = [0.83, 0.86, 0.90];
const SHADE: Colour = [0.93, 0.95, 0.97];

const REGULAR: Name<'static> = Name(b"R");
const BOLD: Name<'static> = Name(b"B");

/// A finished file.
#[derive(Debug)]
pub(crate) struct Printed {
    pub(crate) bytes: Vec<u8>,
    pub(crate) pages: usize,
}

/// Sets a document.
pub(crate) fn file(sheet: &Sheet) -> Result<Printed> {
    let mut press = Press::new()?;
    press.head(sheet);
    press.sides(&sheet.parties);
    if let Some(opening) = &sheet.opening {
        press.paragraph(opening);
        press.y -= 6.0;
    }
    sheet.grids.iter().for_each(|grid| press.grid(grid));
    press.sums(&sheet.sums);
    if let Some(words) = &sheet.words {
        press.words(words);
    }
    sheet.texts.iter().for_each(|text| press.text(text));
    press.signatures(&sheet.signatures);
    press.finish(sheet)
}

/// One way that text looks.
#[derive(Debug, Clone, Copy)]
struct Style {
    size: f32,
    weight: Weight,
    colour: Colour,
}

const fn style(size: f32, weight: Weight, colour: Colour) -> Style {
    Style { size, weight, colour }
}

const BODY: Style = style(9.5, Weight::Regular, INK);
const LABEL: Style = style(7.5, Weight::Regular, QUIET);
const HEADING: Style = style(10.5, Weight::Bold, ACCENT);
const CELL: Style = style(8.2, Weight::Regular, INK);
const STRONG_CELL: Style = style(8.2, Weight::Bold, INK);

impl Style {
    const fn leading(self) -> f32 {
        self.size * LEADING
    }
}

/// What sets type: fonts, finished pages, and how far down the last one is filled.
struct Press {
    regular: Typeface,
    bold: Typeface,
    pages: Vec<Content>,
    page: Content,
    /// Where the next part begins.
    y: f32,
}

impl Press {
    fn new() -> Result<Self> {
        Ok(Self {
            regular: Typeface::new(Weight::Regular)?,
            bold: Typeface::new(Weight::Bold)?,
            pages: Vec::new(),
            page: Content::new(),
            y: TOP,
        })
    }

    fn typeface(&mut self, weight: Weight) -> &mut Typeface {
        match weight {
            Weight::Regular => &mut self.regular,
            Weight::Bold => &mut self.bold,
        }
    }

    /// Goes to a new page unless `height` is left on this one.
    fn need(&mut self, height: f32) -> bool {
        let full = self.y - height < BOTTOM;
        if full {
            self.pages.push(std::mem::replace(&mut self.page, Content::new()));
            self.y = TOP;
        }
        full
    }

    /// Writes one line with its baseline at `y`.
    fn write(&mut self, x: f32, y: f32, style: Style, text: &str) {
        let bytes = self.typeface(style.weight).encoded(text);
        if bytes.is_empty() {
            return;
        }
        let font = if style.weight == Weight::Bold { BOLD } else { REGULAR };
        let [red, green, blue] = style.colour;
        self.page.set_fill_rgb(red, green, blue).begin_text().set_font(font, style.size).next_line(x, y);
        self.page.show(Str(&bytes)).end_text();
    }

    /// The same, ending at `x`.
    fn write_right(&mut self, x: f32, y: f32, style: Style, text: &str) {
        let width = self.typeface(style.weight).width(text, style.size);
        self.write(x - width, y, style, text);
    }

    fn rule(&mut self, from: f32, to: f32, y: f32, width: f32, colour: Colour) {
        let [red, green, blue] = colour;
        self.page.set_stroke_rgb(red, green, blue).set_line_width(width).move_to(from, y).line_to(to, y).stroke();
    }

    fn shade(&mut self, y: f32, height: f32) {
        let [red, green, blue] = SHADE;
        self.page.set_fill_rgb(red, green, blue).rect(MARGIN, y, WIDTH, height).fill_nonzero();
    }

    fn lines(&mut self, style: Style, width: f32, text: &str) -> Vec<String> {
        self.typeface(style.weight).lines(text, style.size, width)
    }

    /// Lines from `y` downwards; answers where they end.
    fn block(&mut self, x: f32, mut y: f32, width: f32, style: Style, text: &str) -> f32 {
        for line in self.lines(style, width, text) {
            self.write(x, y - style.size, style, &line);
            y -= style.leading();
        }
        y
    }

    fn head(&mut self, sheet: &Sheet) {
        let title = style(19.0, Weight::Bold, ACCENT);
        let numer = style(12.0, Weight::Regular, INK);
        self.write(MARGIN, self.y - title.size, title, &sheet.title);
        let after = MARGIN + self.bold.width(&sheet.title, title.size) + 9.0;
        self.write(after, self.y - title.size, numer, &format!("nr {}", sheet.numer));
        self.y -= title.leading() + 7.0;
        self.facts(&sheet.facts);
        self.rule(MARGIN, MARGIN + WIDTH, self.y, 1.4, ACCENT);
        self.y -= 15.0;
    }

    /// Names above values, four in a row at most.
    fn facts(&mut self, facts: &[Fact]) {
        let column = WIDTH / 4.0;
        for row in facts.chunks(4) {
            let mut end = self.y;
            for (place, fact) in [0.0_f32, 1.0, 2.0, 3.0].into_iter().zip(row) {
                let x = MARGIN + place * column;
                let y = self.block(x, self.y, column - 8.0, LABEL, &fact.name);
                end = end.min(self.block(x, y - 1.0, column - 8.0, BODY, &fact.value));
            }
            self.y = end - 7.0;
        }
    }

    /// Seller and buyer beside each other.
    fn sides(&mut self, sides: &[Side]) {
        let width = (WIDTH - 24.0) / 2.0;
        let name = style(10.5, Weight::Bold, INK);
        for pair in sides.chunks(2) {
            let mut end = self.y;
            for (place, side) in [0.0_f32, 1.0].into_iter().zip(pair) {
                let x = MARGIN + place * (width + 24.0);
                let mut y = self.block(x, self.y, width, LABEL, &side.role) - 2.0;
                y = self.block(x, y, width, name, &side.name) - 1.0;
                for line in &side.lines {
                    y = self.block(x, y, width, BODY, line);
                }
                end = end.min(y);
            }
            self.y = end - 14.0;
        }
    }

    fn paragraph(&mut self, text: &str) {
        for line in self.lines(BODY, WIDTH, text) {
            self.need(BODY.leading());
            self.write(MARGIN, self.y - BODY.size, BODY, &line);
            self.y -= BODY.leading();
        }
    }

    fn heading(&mut self, heading: &str, with: f32) {
        self.need(HEADING.leading() + with + 12.0);
        self.y -= 10.0;
        self.y = self.block(MARGIN, self.y, WIDTH, HEADING, heading) - 3.0;
    }

    fn text(&mut self, text: &Text) {
        match &text.heading {
            Some(heading) => self.heading(heading, 2.0 * BODY.leading()),
            None => self.y -= 6.0,
        }
        self.paragraph(&text.body);
    }

    fn grid(&mut self, grid: &Grid) {
        if let Some(heading) = &grid.heading {
            self.heading(heading, 40.0);
        }
        let whole: f32 = grid.columns.iter().map(|column| f32::from(column.share)).sum();
        let mut x = MARGIN;
        let mut places = Vec::new();
        for column in &grid.columns {
            let width = WIDTH * f32::from(column.share) / whole.max(1.0);
            places.push(Place { x, width, right: column.right });
            x += width;
        }
        let titles: Vec<String> = grid.columns.iter().map(|column| column.title.clone()).collect();
        self.row(&places, &titles, STRONG_CELL, None, true);
        for row in &grid.rows {
            self.row(&places, row, CELL, Some(&titles), false);
        }
        if let Some(total) = &grid.total {
            self.row(&places, total, STRONG_CELL, Some(&titles), false);
        }
        self.y -= 8.0;
    }

    /// A row of a table. When it goes to a new page, the titles go before it; a row taller than a page is cut off there,
    /// which no text of ours is.
    fn row(&mut self, places: &[Place], cells: &[String], style: Style, titles: Option<&[String]>, shaded: bool) {
        const PAD: f32 = 4.0;
        let cells: Vec<Vec<String>> =
            places.iter().zip(cells).map(|(place, cell)| self.lines(style, place.width - 2.0 * PAD, cell)).collect();
        let tallest = cells.iter().map(Vec::len).max().unwrap_or_default();
        let tallest = f32::from(u16::try_from(tallest).unwrap_or(u16::MAX));
        let height = tallest * style.leading() + 2.0 * PAD - 1.0;
        if let (true, Some(titles)) = (self.need(height), titles) {
            self.row(places, titles, STRONG_CELL, None, true);
        }
        if shaded {
            self.shade(self.y - height, height);
        }
        for (place, lines) in places.iter().zip(&cells) {
            let mut y = self.y - PAD - style.size + 0.5;
            for line in lines {
                match place.right {
                    true => self.write_right(place.x + place.width - PAD, y, style, line),
                    false => self.write(place.x + PAD, y, style, line),
                }
                y -= style.leading();
            }
        }
        self.y -= height;
        self.rule(MARGIN, MARGIN + WIDTH, self.y, 0.5, LINE);
    }

    /// Names and amounts at the right edge.
    fn sums(&mut self, sums: &[Fact]) {
        const LEFT: f32 = MARGIN + WIDTH - 230.0;
        for sum in sums {
            let weight = if sum.strong { Weight::Bold } else { Weight::Regular };
            let style = style(if sum.strong { 12.0 } else { 9.5 }, weight, INK);
            self.need(style.leading() + 5.0);
            if sum.strong {
                self.y -= 2.0;
                self.rule(LEFT, MARGIN + WIDTH, self.y, 0.8, ACCENT);
                self.y -= 4.0;
            }
            self.write(LEFT, self.y - style.size, style, &sum.name);
            self.write_right(MARGIN + WIDTH, self.y - style.size, style, &sum.value);
            self.y -= style.leading() + 1.5;
        }
    }

    fn words(&mut self, words: &str) {
        self.need(44.0);
        self.y -= 8.0;
        self.y = self.block(MARGIN, self.y, WIDTH, LABEL, "Słownie") - 1.0;
        self.paragraph(words);
        self.y -= 4.0;
    }

    fn signatures(&mut self, who: &[String]) {
        const GAP: f32 = 56.0;
        if who.is_empty() {
            return;
        }
        self.need(80.0);
        self.y -= 58.0;
        let width = (WIDTH - GAP) / 2.0;
        for (place, label) in [0.0_f32, 1.0].into_iter().zip(who) {
            let x = MARGIN + place * (width + GAP);
            self.rule(x, x + width, self.y, 0.6, QUIET);
            let centred = (width - self.regular.width(label, LABEL.size)) / 2.0;
            self.write(x + centred, self.y - LABEL.size - 2.0, LABEL, label);
        }
        self.y -= 20.0;
    }

    /// Numbers the pages and writes the file.
    fn finish(mut self, sheet: &Sheet) -> Result<Printed> {
        self.pages.push(std::mem::replace(&mut self.page, Content::new()));
        let finished = std::mem::take(&mut self.pages);
        let count = finished.len();
        let mut contents = Vec::with_capacity(count);
        for (number, page) in (1_usize..).zip(finished) {
            self.page = page;
            self.rule(MARGIN, MARGIN + WIDTH, 46.0, 0.5, LINE);
            self.write(MARGIN, 34.0, LABEL, &format!("{} nr {}", sheet.title, sheet.numer));
            self.write_right(MARGIN + WIDTH, 34.0, LABEL, &format!("Strona {number} z {count}"));
            contents.push(std::mem::replace(&mut self.page, Content::new()).finish());
        }

        let mut last = 0_i32;
        let mut next = || {
            last = last.saturating_add(1);
            Ref::new(last)
        };
        let (catalog, tree, info, regular, bold) = (next(), next(), next(), next(), next());
        let pages: Vec<(Ref, Ref)> = contents.iter().map(|_| (next(), next())).collect();
        let mut pdf = Pdf::new();
        pdf.catalog(catalog).pages(tree).lang(TextStr("pl-PL"));
        // The same document is the same file, to the byte: nothing here tells when it was made.
        pdf.document_info(info).title(TextStr(&format!("{} {}", sheet.title, sheet.numer))).producer(TextStr("Bureau"));
        pdf.pages(tree).kids(pages.iter().map(|(page, _)| *page)).count(i32::try_from(count).unwrap_or(i32::MAX));
        for ((id, content), bytes) in pages.iter().zip(&contents) {
            let mut page = pdf.page(*id);
            page.parent(tree).media_box(Rect::new(0.0, 0.0, PAGE.0, PAGE.1)).contents(*content);
            let mut resources = page.resources();
            resources.fonts().pair(REGULAR, regular).pair(BOLD, bold);
            resources.finish();
            page.finish();
            pdf.stream(*content, &compressed(bytes)).filter(Filter::FlateDecode);
        }
        self.regular.embed(&mut pdf, regular, &mut next)?;
        self.bold.embed(&mut pdf, bold, &mut next)?;
        Ok(Printed { bytes: pdf.finish(), pages: count })
    }
}

/// Where a column of a table stands.
#[derive(Debug, Clone, Copy)]
struct Place {
    x: f32,
    width: f32,
    right: bool,
}
