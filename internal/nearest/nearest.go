// Package nearest finds the known word that somebody who mistyped one probably
// meant, for error messages. [To] is all there is.
package nearest

// maxWord bounds the bytes of a word that are looked at.
const maxWord = 64

// To returns the candidate that takes the fewest edits to make of s, the
// first of several; "" where there is no candidate.
func To(s string, candidates []string) string {
	s = s[:min(len(s), maxWord)]
	best, least := "", -1
	for _, c := range candidates {
		if d := distance(s, c); least < 0 || d < least {
			best, least = c, d
		}
	}
	return best
}

// distance is the Levenshtein distance of a and b in bytes.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			substituted := diagonal
			if a[i] != b[j] {
				substituted++
			}
			diagonal = row[j+1]
			row[j+1] = min(substituted, diagonal+1, row[j]+1)
		}
	}
	return row[len(b)]
}
