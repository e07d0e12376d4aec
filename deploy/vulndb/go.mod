module jiragate/deploy/vulndb

go 1.26.8

tool golang.org/x/vulndb/cmd/forks

require golang.org/x/vulndb v0.0.0-20261105234957-e22db6528018 // indirect
