"""The routes of the developer API: connections, and what the vendor's command line asks for beside them."""
