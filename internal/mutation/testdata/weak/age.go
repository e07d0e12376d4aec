// Package age is changed by the tests of package mutation.
package age

const limit = 18

// Adult reports whether somebody may enter, and why not.
func Adult(age int, ticket bool) (ok bool, reason string) {
	if age < limit {
		return false, "too young"
	}
	if !ticket {
		return false, "no ticket"
	}
	return true, ""
}
