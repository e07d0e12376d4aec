// Package browser is a real browser for tests of pages: Chromium without a window, over
// the DevTools protocol.
//
// Start with [Start], and open a [Tab], which has cookies of its own. A tab is used as
// a person uses one: [Tab.Click] is a click of the mouse on what is really there at
// that place, and is counted; [Tab.Type] and [Tab.Press] are keys. What can't be done
// fails the test.
//
// A tab also watches. At the end of its test there may have been no request to an
// origin that the tab was not opened for, no error or exception on the console, no
// violation of a Content-Security-Policy, and no part of a page that could not be had.
//
// [Tab.Violations] is what axe-core finds that keeps people out. It is in testdata,
// unchanged, with its licence.
//
// Tests are skipped where there is no Chromium, and say so; see [RequireVariable].
//
// The package may not know whose pages these are.
package browser
