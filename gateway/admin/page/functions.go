package page

import (
	"fmt"
	"html/template"
	"math"
	"strconv"
	"strings"
	"time"
)

// functions are what templates can call.
var functions = template.FuncMap{
	"stamp":  stamp,
	"date":   date,
	"day":    day,
	"minute": minute,
	"clock":  clock,
	"number": number,
	"millis": millis,
	"size":   size,
	"words":  words,
	"short":  short,
}

// stamp is a time as the datetime attribute has it.
func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// date is the time of an event as people read it, in UTC.
func date(t time.Time) string { return t.UTC().Format("2 Jan 2006 15:04:05 UTC") }

// day is the day of a time, and minute its time without year and seconds, where it is
// said beside it that they are in UTC.
func day(t time.Time) string    { return t.UTC().Format("2 Jan 2006") }
func minute(t time.Time) string { return t.UTC().Format("2 Jan 15:04") }

// clock is date without the seconds.
func clock(t time.Time) string { return t.UTC().Format("2 Jan 15:04 UTC") }

// number writes an integer with its thousands set apart: 1,234.
func number(n any) string {
	s := fmt.Sprint(n)
	sign := ""
	if strings.HasPrefix(s, "-") {
		sign, s = "-", s[1:]
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return sign + s
}

// millis writes a duration in milliseconds with three digits that count, as far as
// there are as many.
func millis(ms float64) string {
	switch {
	case ms >= 10000:
		return strconv.FormatFloat(ms/1000, 'f', 1, 64) + " s"
	case ms >= 100:
		return number(int64(math.Round(ms))) + " ms"
	case ms >= 10:
		return strconv.FormatFloat(ms, 'f', 1, 64) + " ms"
	}
	return strconv.FormatFloat(ms, 'f', 2, 64) + " ms"
}

// size writes a number of bytes.
func size(n int64) string {
	switch {
	case n < 1<<10:
		return number(n) + " B"
	case n < 1<<20:
		return strconv.FormatFloat(float64(n)/(1<<10), 'f', 1, 64) + " KiB"
	}
	return strconv.FormatFloat(float64(n)/(1<<20), 'f', 1, 64) + " MiB"
}

// words turns a name such as needs_reauthorisation into words.
func words(s any) string { return strings.NewReplacer("_", " ", "-", " ").Replace(fmt.Sprint(s)) }

// short is the beginning of a hash.
func short(s string) string {
	if len(s) > 12 {
		return s[:12]
	}
	return s
}
