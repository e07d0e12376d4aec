// Package page is what the gateway's pages have in common: the style sheet, the
// scripts, the header fields that keep a browser strict, and the rendering of
// templates.
//
// Start with [New], which makes a [Set] of the templates of one face, and
// [Set.Write]. [Set.Assets] serves the files that pages load; [Secure] is for answers
// that are written otherwise.
//
// A page loads its style sheet and scripts from where it came from, and nothing else
// from anywhere. There is no inline script or style, and markup is never made of text
// by a script: the policy in [Secure] has browsers refuse all of these. Every page can
// be read without scripts. They add the local time to times, copy buttons, charts
// above the tables that hold their numbers, and rows of calls as they are made.
//
// The package knows no gateway, no API and no sessions.
package page
