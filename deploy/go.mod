module jiragate/deploy

go 1.26.8
