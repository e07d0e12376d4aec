package browser

import (
	"bytes"
	"regexp"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// media is what a page is told of how it is seen.
type media struct{ medium, scheme string }

func (tab *Tab) emulate() {
	tab.t.Helper()
	call(tab, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Media: tab.media.medium,
		Features: []*emulation.MediaFeature{
			{Name: "prefers-color-scheme", Value: tab.media.scheme},
			{Name: "prefers-reduced-motion", Value: "reduce"},
		},
	})
}

// Size sets the size of the window, in CSS pixels.
func (tab *Tab) Size(width, height int) {
	tab.t.Helper()
	tab.do("change the size", chromedp.EmulateViewport(int64(width), int64(height)))
}

// Scheme has pages be "light" or "dark".
func (tab *Tab) Scheme(scheme string) {
	tab.t.Helper()
	tab.media.scheme = scheme
	tab.emulate()
}

// Medium has pages be shown as on "screen" or in "print".
func (tab *Tab) Medium(medium string) {
	tab.t.Helper()
	tab.media.medium = medium
	tab.emulate()
}

// Zone moves the browser to a time zone, by its name in the IANA database.
func (tab *Tab) Zone(name string) {
	tab.t.Helper()
	call(tab, emulation.SetTimezoneOverride, emulation.SetTimezoneOverrideParams{TimezoneID: name})
}

// WithoutScripts has pages that are opened from now on run none.
func (tab *Tab) WithoutScripts() {
	tab.t.Helper()
	call(tab, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
}

// Screenshot is a picture of the whole page, as PNG.
func (tab *Tab) Screenshot() []byte {
	tab.t.Helper()
	return run(tab, "take a screenshot", chromedp.FullScreenshot(100))
}

// pdfPage is a page in a PDF file as Chromium writes it.
var pdfPage = regexp.MustCompile(`/Type\s*/Page\b`)

// Printed is the page as a PDF file, and the number of sheets.
func (tab *Tab) Printed() (file []byte, sheets int) {
	tab.t.Helper()
	file = run(tab, "print", chromedp.PrintToPDF(chromedp.PDFPreferCSSPageSize()))
	if !bytes.HasPrefix(file, []byte("%PDF-")) {
		tab.t.Fatalf("what is printed is no PDF: %.20q", file)
	}
	return file, len(pdfPage.FindAll(file, -1))
}
