// Package spreadsheet keeps text of others from being taken for a formula where a CSV
// file is opened by a spreadsheet. [Cell] is all there is.
package spreadsheet

import "strings"

// Cell returns s with an apostrophe in front if it begins as a formula can, or does so
// behind blanks (OWASP, "CSV Injection",
// https://owasp.org/www-community/attacks/CSV_Injection).
func Cell(s string) string {
	const formula = "=+-@\t\r\n\uff1d\uff0b\uff0d\uff20" // the last are full-width forms
	if strings.IndexAny(strings.TrimLeft(s, " "), formula) == 0 {
		return "'" + s
	}
	return s
}
