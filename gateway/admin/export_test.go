package admin

// Route is one operation of the API, for tests of all of them.
type Route struct {
	Method, Path string
	Role         Role
	Recorded     bool // each request is a record
}

// Routes lists the operations of the API.
func (a *API) Routes() (list []Route) {
	for _, r := range a.routes(readinessInFull) {
		list = append(list, Route{r.method, r.path, r.role, r.recorded})
	}
	return list
}
