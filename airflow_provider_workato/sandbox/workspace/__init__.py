"""The workspace: its connections and folders, and the rules they follow."""
