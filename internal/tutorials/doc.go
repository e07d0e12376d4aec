// Package tutorials holds no code: its tests run the programs of docs/tutorials as
// they stand on the pages, in their own languages, through a gateway to the Jira
// simulator. Who changes a page changes what is run.
//
// Start with tutorials_test.go. A language that is not installed skips its page,
// unless CI_REQUIRE_TUTORIALS=1.
package tutorials
